"""raw → prepare: one folder for each hospital that the data name, checked against the schema.

Data that name no hospitals go to one folder, `all`. `partition` and `load_hospital` are the next
steps of the way, offered here too.
"""

from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from federated.cells import check
from federated.config import DataConfig
from federated.objectives import objective_of
from federated.partition.natural import no_hospitals
from federated.records import SPLIT, Images, Table
from federated.schema import Coverage
from federated.validation import enough, settle
from tasks import hospital_files as files
from tasks.files import write_atomic
from tasks.groups import ALL, check_listed, folders
from tasks.hospital_files import load_hospital
from tasks.made_from import MADE_FROM, of_prepare
from tasks.partitioning import partition

__all__ = ["load_hospital", "partition", "prepare"]

Rows = NDArray[np.int64]


def prepare(data: DataConfig, project: Path, out: Path) -> list[Coverage]:
    """Write `out/schema.json` and one folder a group; returns what became of each group's rows.

    Nothing is written unless every group passes. Raises DataError naming file and hospital.
    """
    made_from = of_prepare(data, project)  # before reading: a file that changes meanwhile is stale
    record = data.reader.read(project)
    natural = data.partition["name"] == "natural"
    groups = _groups(record)
    if natural and ALL in groups:
        raise no_hospitals()
    if natural:
        check_listed(data.hospitals, list(groups))
    least = data.min_rows if natural else 1
    written = (
        _prepare_images(record, groups, least)
        if isinstance(record, Images)
        else _prepare_table(record, groups, least)
    )
    write_atomic(out / MADE_FROM, b"")
    write_atomic(out / files.SCHEMA, files.json_bytes(record.schema))
    contents = {coverage.hospital: parts for coverage, parts in written}
    files.write_folders(out, contents, whole=True)
    write_atomic(out / MADE_FROM, files.json_bytes(made_from))
    return [coverage for coverage, _ in written]


def _groups(record: Table | Images) -> dict[str, Rows]:
    """Folder name → positions of its rows."""
    size = len(record.frame) if isinstance(record, Table) else len(record.labels)
    if record.hospitals is None:
        return {ALL: np.arange(size)}
    names, owner = np.unique(np.asarray(record.hospitals, dtype=np.str_), return_inverse=True)
    safe = folders([str(name) for name in names], record.source)
    pieces = np.split(np.argsort(owner, kind="stable"), np.cumsum(np.bincount(owner))[:-1])
    return dict(sorted(zip(safe, pieces, strict=True)))


def _prepare_table(
    record: Table, groups: dict[str, Rows], least: int
) -> list[tuple[Coverage, dict[str, bytes]]]:
    """Each group's coverage and files."""
    cells = check(record.frame, record.schema)
    found = []
    for name, at in groups.items():
        good = settle(name, cells, at, record.schema, least, record.notes)
        frame = good.frame
        if record.split is not None:
            frame = frame.assign(**{SPLIT: record.split.loc[frame.index]})
        contents = {
            files.RECORDS_CSV: files.table_bytes(frame),
            files.QUARANTINE: files.quarantine_bytes(good.quarantine),
            files.COVERAGE: files.json_bytes(good.coverage),
        }
        found.append((good.coverage, contents))
    return found


def _prepare_images(
    record: Images, groups: dict[str, Rows], least: int
) -> list[tuple[Coverage, dict[str, bytes]]]:
    """Each group's coverage and files. The readers have checked shapes and labels."""
    found = []
    for name, at in groups.items():
        labels = record.labels[at]
        classes = objective_of(record.schema).tally(labels)
        coverage = Coverage(hospital=name, rows=len(at), kept=len(at), classes=classes)
        enough(coverage, least)
        pixels = np.ascontiguousarray(record.pixels[at])
        tensors: dict[str, NDArray[Any]] = {"features": pixels, "targets": labels}
        if record.split is not None:
            tensors[SPLIT] = record.split[at]
        contents = {
            files.RECORDS: safetensors.numpy.save(tensors),
            files.QUARANTINE: files.quarantine_bytes(()),
            files.COVERAGE: files.json_bytes(coverage),
        }
        found.append((coverage, contents))
    return found
