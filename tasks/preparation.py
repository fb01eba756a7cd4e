"""raw → prepare: one folder for each hospital that the data name, checked against the schema.

Data that name no hospitals go to one folder, `all`. `partition` and `load_hospital` are the next
steps of the way, offered here too.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from federated.cells import check
from federated.config import DataConfig
from federated.duplicates import elsewhere, row_hashes
from federated.objectives import objective_of
from federated.partition.natural import no_hospitals
from federated.patients import owners
from federated.records import PATIENT, SPLIT, TIME, Images, Table
from federated.schema import Coverage, ImageSchema, TableSchema
from federated.validation import settle
from tasks import hospital_files as files
from tasks.files import write_atomic
from tasks.groups import ALL, check_listed, folders, left_out_notes, left_small, without
from tasks.hospital_files import load_hospital
from tasks.leaks import shared_note
from tasks.made_from import MADE_FROM, of_prepare
from tasks.partitioning import partition

__all__ = ["load_hospital", "partition", "prepare"]

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class _Group:
    """A group's rows, checked. contents: its files but for the coverage.

    keys: of each row kept its patient, or a hash of the row where the data name no patients.
    """

    coverage: Coverage
    contents: dict[str, bytes]
    keys: NDArray[Any]


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
    asked = without(groups, data.leave_out)
    found = _images(record, asked) if isinstance(record, Images) else _table(record, asked, natural)
    least = data.min_rows if natural else 1
    small = left_small([one.coverage for one in found], least, data.small_hospitals)
    found = [one for one in found if one.coverage.hospital not in small]
    if natural:
        check_listed(data.hospitals, list(groups), [one.coverage.hospital for one in found])
    notes = record.notes if isinstance(record, Table) else ()
    told = _told(found, (*notes, *left_out_notes(data.leave_out, small, least)), natural)
    _write(out, record.schema, told)
    write_atomic(out / MADE_FROM, files.json_bytes(made_from))
    return [one.coverage for one in told]


def _told(found: list[_Group], notes: tuple[str, ...], natural: bool) -> list[_Group]:
    """The groups with notes: those about all, and of whom else knows its patients or rows."""
    shared = elsewhere({one.coverage.hospital: one.keys for one in found if natural})

    def of(one: Coverage) -> Coverage:
        count = shared.get(one.hospital, 0)
        own = (shared_note(one, count),) if count else ()
        return one.model_copy(update={"notes": (*notes, *own)})

    return [replace(one, coverage=of(one.coverage)) for one in found]


def _write(out: Path, schema: TableSchema | ImageSchema, found: list[_Group]) -> None:
    """The schema, and a folder a group; a record of an older making is emptied first."""
    write_atomic(out / MADE_FROM, b"")
    write_atomic(out / files.SCHEMA, files.json_bytes(schema))
    contents = {
        one.coverage.hospital: {**one.contents, files.COVERAGE: files.json_bytes(one.coverage)}
        for one in found
    }
    files.write_folders(out, contents, whole=True)


def _groups(record: Table | Images) -> dict[str, Rows]:
    """Folder name → positions of its rows."""
    size = len(record.frame) if isinstance(record, Table) else len(record.labels)
    if record.hospitals is None:
        return {ALL: np.arange(size)}
    names, owner = np.unique(np.asarray(record.hospitals, dtype=np.str_), return_inverse=True)
    safe = folders([str(name) for name in names], record.source)
    pieces = np.split(np.argsort(owner, kind="stable"), np.cumsum(np.bincount(owner))[:-1])
    return dict(sorted(zip(safe, pieces, strict=True)))


def _table(record: Table, groups: dict[str, Rows], natural: bool) -> list[_Group]:
    """Each group. Where hospitals are natural, their patients' codes depend on no other's rows."""
    cells = check(record.frame, record.schema)
    whose = None if record.patients is None else record.patients.factorize()[0]
    found = []
    for name, at in groups.items():
        good = settle(name, cells, at, record.schema, record.bad_cells)
        frame, coverage = good.frame, good.coverage
        keys: NDArray[Any] = row_hashes(frame.to_numpy(), np.empty((len(frame), 0)))
        beside: dict[str, Any] = {}
        if record.split is not None:
            beside[SPLIT] = record.split.loc[frame.index]
        if record.times is not None:
            beside[TIME] = record.times.loc[frame.index]
        if whose is not None:
            keys = whose[record.frame.index.get_indexer(frame.index)]
            beside[PATIENT] = owners(keys) if natural else keys
            coverage = coverage.model_copy(update={"patients": len(np.unique(keys))})
        contents = {
            files.RECORDS_CSV: files.table_bytes(frame.assign(**beside)),
            files.QUARANTINE: files.quarantine_bytes(good.quarantine),
        }
        found.append(_Group(coverage, contents, keys))
    return found


def _images(record: Images, groups: dict[str, Rows]) -> list[_Group]:
    """Each group. The readers have checked shapes and labels."""
    found = []
    for name, at in groups.items():
        labels = record.labels[at]
        classes = objective_of(record.schema).tally(labels)
        coverage = Coverage(hospital=name, rows=len(at), kept=len(at), classes=classes)
        pixels = np.ascontiguousarray(record.pixels[at])
        tensors: dict[str, NDArray[Any]] = {"features": pixels, "targets": labels}
        if record.split is not None:
            tensors[SPLIT] = record.split[at]
        contents = {
            files.RECORDS: safetensors.numpy.save(tensors),
            files.QUARANTINE: files.quarantine_bytes(()),
        }
        found.append(_Group(coverage, contents, row_hashes(pixels, labels)))
    return found
