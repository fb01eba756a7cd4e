"""prepare → partition: prepared rows cut into the federation's hospitals, with test rows drawn."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors.numpy
import torch
from numpy.typing import NDArray
from torch import Tensor

from federated.config import DataConfig
from federated.errors import DataError
from federated.objectives import objective_of
from federated.plugins import nearest
from federated.records import SPLIT
from federated.schema import Coverage, ImageSchema, TableSchema, parse_schema
from federated.split import generator, split
from federated.validation import cover, enough
from tasks import coverage
from tasks import hospital_files as files
from tasks.groups import ALL
from tasks.made_from import MADE_FROM, of_partition

Rows = NDArray[np.int64]
Schema = TableSchema | ImageSchema


@dataclass(frozen=True)
class _Pool:
    """Prepared rows of one group, or of all: features, targets, and the group of each row.

    published: the data set's own split, uint8 [n], if it has one.
    """

    schema: Schema
    features: Tensor
    targets: Tensor
    published: Tensor | None
    groups: NDArray[np.str_]
    coverage: dict[str, Coverage]


def partition(
    data: DataConfig, prepared: Path, out: Path, hospital: str | None = None
) -> list[str]:
    """Write one folder a hospital of the federation; returns the names that were written.

    hospital: write this one alone; under a natural partition no other one's rows are read.
    Raises DataError naming file and hospital, also for a name that the partition does not make.
    """
    natural = data.partition["name"] == "natural"
    present = _prepared_groups(prepared)
    if natural and hospital is not None:
        _require_name(hospital, present)
        present = [hospital]
    pool = _pool(prepared, present)
    named = None if present == [ALL] else pool.groups
    drawn = generator("partition", data.seed)
    strata = objective_of(pool.schema).strata(pool.targets.numpy())
    cut = data.partitioner.assign(strata, named, drawn)
    made_from = of_partition(data, prepared, sorted(cut), present)
    if hospital is not None:
        _require_name(hospital, sorted(cut))
        cut = {hospital: cut[hospital]}
    contents = {}
    for name, rows in sorted(cut.items()):
        known = pool.coverage[name] if natural else _cover(name, pool, rows)
        contents[name] = _hospital(data, known, pool, rows)
        contents[name][MADE_FROM] = files.json_bytes(made_from[name])
    files.write_folders(out, contents, whole=hospital is None)
    return list(contents)


def _prepared_groups(prepared: Path) -> list[str]:
    """Names of the folders that `prepare` wrote."""
    names = files.folders_in(prepared)
    if not names:
        raise DataError(f"{prepared}: no prepared records; run `wardround prepare` first")
    return names


def _require_name(hospital: str, known: list[str]) -> None:
    if hospital not in known:
        raise DataError(f"no hospital is called {hospital!r}; {nearest(hospital, known)}")


def _pool(prepared: Path, names: list[str]) -> _Pool:
    """The prepared rows of these groups, in this order."""
    path = prepared / files.SCHEMA
    if not path.is_file():
        raise DataError(f"{path}: no such file; run `wardround prepare` first")
    schema = parse_schema(path.read_text(encoding="utf-8"), str(path))
    read = {name: files.read_coverage(prepared / name, "prepare") for name in names}
    parts = [_prepared_rows(prepared / name, schema, read[name].kept) for name in names]
    return _Pool(
        schema=schema,
        features=torch.cat([part["features"] for part in parts]),
        targets=torch.cat([part["targets"] for part in parts]),
        published=torch.cat([part[SPLIT] for part in parts]) if SPLIT in parts[0] else None,
        groups=np.repeat(np.array(names), [len(part["targets"]) for part in parts]),
        coverage=read,
    )


def _prepared_rows(folder: Path, schema: Schema, kept: int) -> dict[str, Tensor]:
    """Features, targets and, if the data set has its own, split of one prepared group."""
    if isinstance(schema, TableSchema):
        tensors = files.read_table(folder, schema)
        path = folder / files.RECORDS_CSV
    else:
        tensors = files.read_tensors(folder, "prepare")
        path = folder / files.RECORDS
    if any(len(tensor) != kept for tensor in tensors.values()):
        what = f"holds {len(tensors['targets'])} rows, {files.COVERAGE} says {kept}"
        raise files.damaged(path, what, "prepare")
    return tensors


def _cover(name: str, pool: _Pool, rows: Rows) -> Coverage:
    """Coverage of a hospital that the partition made up.

    What was set aside before it was there belongs to no hospital, and becomes a note.
    """
    targets, before = pool.targets.numpy()[rows], [*pool.coverage.values()]
    notes = (*coverage.notes(before), *coverage.set_aside(before))
    if isinstance(pool.schema, TableSchema):
        found = cover(name, pool.features.numpy()[rows], targets, pool.schema)
        return found.model_copy(update={"notes": notes})
    classes = objective_of(pool.schema).tally(targets)
    return Coverage(hospital=name, rows=len(rows), kept=len(rows), classes=classes, notes=notes)


def _hospital(data: DataConfig, known: Coverage, pool: _Pool, rows: Rows) -> dict[str, bytes]:
    """The files of one hospital's folder. Raises DataError if it has too few rows."""
    enough(known, data.min_rows)
    targets = pool.targets.numpy()[rows]
    codes = split(
        known.hospital,
        objective_of(pool.schema).strata(targets),
        data.test_fraction,
        data.validation_fraction,
        data.seed,
        None if pool.published is None else pool.published.numpy()[rows],
    )
    tensors = {
        "features": np.ascontiguousarray(pool.features.numpy()[rows]),
        "targets": targets,
        SPLIT: codes,
    }
    return {
        files.RECORDS: safetensors.numpy.save(tensors),
        files.SCHEMA: files.json_bytes(pool.schema),
        files.COVERAGE: files.json_bytes(known),
    }
