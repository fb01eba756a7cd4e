"""A hospital's folder: what is in it, written whole and read with every fault named.

Every folder holds records, `schema.json` and `coverage.json`; `prepare` adds `quarantine.csv`.
Bytes depend on the records alone.
"""

import csv
import io
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import safetensors
import safetensors.torch
import torch
from pydantic import BaseModel
from torch import Tensor

from federated.errors import CorruptDataError, DataError
from federated.objectives import objective_of
from federated.records import PATIENT, SPLIT, TIME, RawHospital
from federated.schema import Coverage, ImageSchema, TableSchema, parse_schema
from federated.split import TEST, TRAIN, VALIDATION
from tasks.files import write_atomic

RECORDS_CSV, RECORDS = "records.csv", "records.safetensors"
SCHEMA, COVERAGE, QUARANTINE = "schema.json", "coverage.json", "quarantine.csv"


def json_bytes(record: BaseModel) -> bytes:
    """A schema or coverage as indented JSON."""
    return (record.model_dump_json(indent=2) + "\n").encode()


def table_bytes(frame: pd.DataFrame) -> bytes:
    """A canonical table as CSV: floats so that they read back to the bit, empty for missing."""
    return frame.to_csv(index=False, lineterminator="\n").encode()


def quarantine_bytes(quarantine: Collection[tuple[int, str]]) -> bytes:
    """Row numbers and reasons as CSV."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([("row", "reason"), *quarantine])
    return text.getvalue().encode()


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write `files` one by one, each whole or not at all, and remove what else lies there; the
    last of them is emptied first, so that it stands for the whole.

    Hidden files stay (DVC keeps a .gitignore), but for temporary ones that a kill left behind.
    """
    write_atomic(folder / list(files)[-1], b"")
    for name, data in files.items():
        write_atomic(folder / name, data)
    temporary = tuple(f".{name}." for name in files)
    for path in folder.iterdir():
        hidden = path.name.startswith(".") and not path.name.startswith(temporary)
        if path.is_file() and path.name not in files and not hidden:
            path.unlink()


def write_folders(out: Path, contents: dict[str, dict[str, bytes]], *, whole: bool) -> None:
    """One folder a name; `whole` removes folders of hospitals that are no more."""
    for name, parts in contents.items():
        write_folder(out / name, parts)
    if whole:
        remove_stale(out, contents)


def remove_stale(parent: Path, names: Collection[str]) -> None:
    """Remove the folders of hospitals that are not in `names`."""
    for name in folders_in(parent):
        if name not in names:
            shutil.rmtree(parent / name)


def folders_in(parent: Path) -> list[str]:
    """Names of the hospitals' folders below it, in order."""
    return sorted(path.parent.name for path in parent.glob(f"*/{COVERAGE}"))


def read_table(folder: Path, schema: TableSchema) -> dict[str, Tensor]:
    """A prepared `records.csv`: features float64 [n, F], targets [n, ...], and where the data have
    them `split` uint8 [n], `patient_code` and `split_time` int64 [n]."""
    path = _present(folder, RECORDS_CSV, "prepare")
    names, asked = [c.name for c in schema.columns], [c.name for c in schema.targets]
    beside = {SPLIT: "uint8", PATIENT: "int64", TIME: "int64"}
    types = beside | dict.fromkeys([*names, *asked], "float64")
    try:
        frame = pd.read_csv(path, dtype=types)
        values, targets = frame[names].to_numpy(), frame[asked].to_numpy()
    except (ValueError, KeyError) as error:
        raise damaged(path, "not the table that prepare wrote", "prepare") from error
    for column, cells in zip(schema.targets, targets.T, strict=True):
        if not np.isin(cells, column.codes).all() if column.codes else np.isnan(cells).any():
            raise damaged(path, f"{column.name} is not as prepare wrote it", "prepare")
    found = {"features": values, "targets": objective_of(schema).encode(targets)}
    for name in beside.keys() - {*names, *asked}:  # else it is a feature or the target
        if name in frame:
            found[name] = frame[name].to_numpy()
    return {name: torch.tensor(values) for name, values in found.items()}


def read_tensors(folder: Path, stage: str) -> dict[str, Tensor]:
    """The tensors of `records.safetensors`, as `stage` wrote them."""
    path = _present(folder, RECORDS, stage)
    try:
        return safetensors.torch.load(path.read_bytes())
    except safetensors.SafetensorError as error:
        raise damaged(path, f"truncated or damaged ({error})", stage) from error


def read_schema(folder: Path, stage: str) -> TableSchema | ImageSchema:
    """The schema beside a hospital's records."""
    path = _present(folder, SCHEMA, stage)
    return parse_schema(path.read_text(encoding="utf-8"), str(path))


def read_coverage(folder: Path, stage: str) -> Coverage:
    """The coverage beside a hospital's records."""
    path = _present(folder, COVERAGE, stage)
    try:
        return Coverage.model_validate_json(path.read_bytes())
    except ValueError as error:
        raise damaged(path, "not a coverage record", stage) from error


def load_hospital(folder: Path) -> RawHospital:
    """A hospital as `partition` wrote it.

    Raises DataError, naming hospital and file, for one that is missing, truncated or at odds with
    the others.
    """
    schema = read_schema(folder, "partition")
    coverage = read_coverage(folder, "partition")
    tensors = read_tensors(folder, "partition")
    path = folder / RECORDS
    wanted = {"features", "targets", SPLIT}
    patients = tensors.pop(PATIENT, None)
    if set(tensors) != wanted or (patients is None) != (coverage.patients is None):
        raise damaged(path, f"holds {sorted(tensors)}, not {sorted(wanted)}", "partition")
    row = schema.shape if isinstance(schema, ImageSchema) else (len(schema.columns),)
    rows = coverage.kept
    if tensors["features"].shape != (rows, *row) or not (
        len(tensors["targets"]) == len(tensors[SPLIT]) == rows
        and (patients is None or len(patients) == rows)
    ):
        raise damaged(path, f"is not {rows} rows of {row}, as its neighbours say", "partition")
    if not torch.isin(tensors[SPLIT], torch.tensor([TRAIN, TEST, VALIDATION])).all():
        raise damaged(path, "holds rows that neither train, test nor validate", "partition")
    return RawHospital(
        name=folder.name,
        features=tensors["features"],
        targets=tensors["targets"],
        split=tensors[SPLIT],
        schema=schema,
        coverage=coverage,
        patients=patients,
    )


def _present(folder: Path, name: str, stage: str) -> Path:
    path = folder / name
    if not path.is_file():
        raise DataError(
            f"hospital {folder.name!r}: {path}: no such file; run `wardround {stage}` again"
        )
    return path


def damaged(path: Path, what: str, stage: str) -> CorruptDataError:
    """The error for a file of a hospital's folder that is not as `stage` wrote it."""
    return CorruptDataError(
        f"hospital {path.parent.name!r}: {path}: {what}; run `wardround {stage}` again"
    )
