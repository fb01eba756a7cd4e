"""prepare → partition: prepared rows cut into the federation's hospitals, with test rows drawn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import safetensors.numpy
import torch
from numpy.typing import NDArray
from torch import Tensor

from federated.config import DataConfig
from federated.duplicates import Hashes, elsewhere, row_hashes
from federated.errors import DataError
from federated.objectives import Objective, objective_of
from federated.patients import Ints, highest, owners, rows_of
from federated.plugins import nearest
from federated.records import PATIENT, SPLIT, TIME
from federated.schema import Coverage, ImageSchema, TableSchema, parse_schema
from federated.split import Codes, generator
from federated.validation import cover
from tasks import coverage
from tasks import hospital_files as files
from tasks.groups import ALL, left_out_notes, left_small
from tasks.leaks import clustered, shared_note, split_notes
from tasks.made_from import MADE_FROM, of_partition
from tasks.splitting import codes_of, time_notes

T = TypeVar("T", bound=np.generic)
Rows = NDArray[np.int64]
Assignment = dict[str, Rows]
Schema = TableSchema | ImageSchema


@dataclass(frozen=True)
class _Pool:
    """Prepared rows of one group, or of all: features, targets, and the group of each row.

    published: the data set's own split, uint8 [n], if it has one. patients, times: int64 [n], where
    the data name patients, and where they are split by time.
    """

    schema: Schema
    features: Tensor
    targets: Tensor
    published: Codes | None
    patients: Ints | None
    times: Ints | None
    groups: NDArray[np.str_]
    coverage: dict[str, Coverage]

    @property
    def objective(self) -> Objective:
        """What is predicted."""
        return objective_of(self.schema)


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
    cut = _cut(data, pool, None if present == [ALL] else pool.groups)
    known = pool.coverage if natural else _made_up(data, pool, cut)
    names = sorted(cut.keys() & known.keys())
    made_from = of_partition(data, prepared, names, present)
    if hospital is not None:
        _require_name(hospital, names)
        names = [hospital]
    contents = {}
    for name in names:
        contents[name] = _hospital(data, known[name], pool, cut[name])
        contents[name][MADE_FROM] = files.json_bytes(made_from[name])
    files.write_folders(out, contents, whole=hospital is None)
    return names


def _cut(data: DataConfig, pool: _Pool, named: NDArray[np.str_] | None) -> Assignment:
    """Hospital → rows. All rows of a patient go to one hospital that a partition makes up."""
    strata = pool.objective.strata(pool.targets.numpy())
    drawn = generator("partition", data.seed)
    if pool.patients is None or data.partition["name"] == "natural":
        found: Assignment = data.partitioner.assign(strata, named, drawn)
        return found
    owner = owners(pool.patients)
    first = None if named is None else named[np.unique(owner, return_index=True)[1]]
    units = data.partitioner.assign(highest(strata, owner), first, drawn)
    return {name: rows_of(each, owner) for name, each in units.items()}


def _made_up(data: DataConfig, pool: _Pool, cut: Assignment) -> dict[str, Coverage]:
    """Coverage of the hospitals that the partition made up and that take part.

    Raises DataError naming those that are too small.
    """
    found = {name: _cover(name, pool, rows) for name, rows in sorted(cut.items())}
    small = left_small([*found.values()], data.min_rows, data.small_hospitals)
    notes = left_out_notes((), small, data.min_rows)
    shared = elsewhere({} if pool.patients is not None else _hashes(pool, cut))
    told = {}
    for name, one in found.items():
        own = (shared_note(one, shared[name]),) if name in shared else ()
        told[name] = one.model_copy(update={"notes": (*one.notes, *notes, *own)})
    return {name: one for name, one in told.items() if name not in small}


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
        published=_joined(parts, SPLIT),
        patients=_joined(parts, PATIENT),
        times=_joined(parts, TIME),
        groups=np.repeat(np.array(names), [len(part["targets"]) for part in parts]),
        coverage=read,
    )


def _joined(parts: Sequence[Mapping[str, Tensor]], name: str) -> NDArray[Any] | None:
    """What every group has beside its rows, or None where the data have no such thing."""
    if name not in parts[0]:
        return None
    return np.concatenate([part[name].numpy() for part in parts])


def _prepared_rows(folder: Path, schema: Schema, kept: int) -> dict[str, Tensor]:
    """Features, targets, and what lies beside them, of one prepared group."""
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
    known = None if pool.patients is None else len(np.unique(pool.patients[rows]))
    if isinstance(pool.schema, TableSchema):
        found = cover(name, pool.features.numpy()[rows], targets, pool.schema)
        return found.model_copy(update={"notes": notes, "patients": known})
    classes = pool.objective.tally(targets)
    return Coverage(hospital=name, rows=len(rows), kept=len(rows), classes=classes, notes=notes)


def _at(values: NDArray[T] | None, rows: Rows) -> NDArray[T] | None:
    return None if values is None else values[rows]


def _hashes(pool: _Pool, cut: Assignment) -> dict[str, Hashes]:
    """Of every hospital's rows."""
    whole = row_hashes(pool.features.numpy(), pool.targets.numpy())
    return {name: whole[rows] for name, rows in cut.items()}


def _hospital(data: DataConfig, known: Coverage, pool: _Pool, rows: Rows) -> dict[str, bytes]:
    """The files of one hospital's folder."""
    features, targets = pool.features.numpy()[rows], pool.targets.numpy()[rows]
    published, patients = _at(pool.published, rows), _at(pool.patients, rows)
    times = _at(pool.times, rows)
    strata = pool.objective.strata(targets)
    codes = codes_of(data, known.hospital, strata, published, patients, times)
    notes = split_notes(known, row_hashes(features, targets), codes)
    notes += clustered(known)
    if times is not None:
        notes += time_notes(known.hospital, targets, codes, pool.objective)
    tensors = {"features": np.ascontiguousarray(features), "targets": targets, SPLIT: codes}
    if patients is not None:
        tensors[PATIENT] = owners(patients)
    told = known.model_copy(update={"notes": (*known.notes, *notes)})
    return {
        files.RECORDS: safetensors.numpy.save(tensors),
        files.SCHEMA: files.json_bytes(pool.schema),
        files.COVERAGE: files.json_bytes(told),
    }
