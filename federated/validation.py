"""A hospital's raw rows against the declared schema: what breaks it is set aside and counted.

Counts, names and row numbers only: no patient's value is held or printed here.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from federated.cells import Cells, check
from federated.faults import reasons, require_features, require_outcomes
from federated.objectives import objective_of
from federated.records import BadCells
from federated.schema import Coverage, TableSchema
from federated.sizes import require

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Validated:
    """frame: float64 columns in the schema's order, then the target's (a class as int64 index);
    index = raw row number. quarantine: (row number, "column: rule"), ordered; with the words `read
    as missing` where the row was kept."""

    frame: pd.DataFrame
    quarantine: tuple[tuple[int, str], ...]
    coverage: Coverage


def validate(hospital: str, frame: pd.DataFrame, schema: TableSchema, min_rows: int) -> Validated:
    """Keep the rows of one hospital that obey the schema.

    frame: raw cells, index = unique row number. A row with a bad cell is quarantined; a column
    that is absent, undeclared, or broken in over half of its cells is set aside (read as missing).
    Raises DataError if fewer than `min_rows` rows are left.
    """
    found = settle(hospital, check(frame, schema), np.arange(len(frame)), schema)
    require([found.coverage], min_rows)
    return found


def settle(
    hospital: str,
    cells: Cells,
    at: NDArray[np.int64],
    schema: TableSchema,
    bad_cells: BadCells = "quarantine",
) -> Validated:
    """`validate` for the rows at positions `at` of cells that were checked all at once, however few
    are left.

    bad_cells: what becomes of a feature's cell that breaks the schema. Raises DataError where it is
    `refuse` and there is one, and for many codes that a target does not know.
    """
    require_outcomes(hospital, cells, at, schema)
    broken = {int(i): cells.broken[int(i)] for i in at if int(i) in cells.broken}
    dropped = cells.absent | _mostly_broken(broken, cells, at, schema)
    bad = {
        i: {c: why for c, why in found.items() if c not in dropped} for i, found in broken.items()
    }
    if bad_cells == "refuse":
        require_features(hospital, bad, cells, schema)
    lost = {i for i, found in bad.items() if _costs_row(found, schema, bad_cells)}
    kept = np.array([i for i in at if int(i) not in lost], dtype=np.int64)
    values = cells.values[kept]
    values[:, [c.name in dropped for c in schema.columns]] = np.nan
    gaps = {i: found for i, found in bad.items() if i not in lost}
    _empty(values, kept, gaps, schema)
    coverage = cover(hospital, values, cells.targets[kept], schema).model_copy(
        update={
            "rows": len(at),
            "quarantined": reasons(bad[i] for i in lost),
            "dropped_columns": dict(sorted(dropped.items())),
            "quarantined_classes": _outcomes(cells, np.setdiff1d(at, kept), schema),
            "bad_cells": reasons(gaps.values()),
        }
    )
    frame = pd.DataFrame(values, index=cells.rows[kept], columns=[c.name for c in schema.columns])
    listed = [
        (int(cells.rows[i]), f"{column}: {why}{'' if i in lost else ' (read as missing)'}")
        for i, found in bad.items()
        for column, why in found.items()
    ]
    each = np.atleast_2d(cells.targets[kept].T)
    targets = {c.name: column for c, column in zip(schema.targets, each, strict=True)}
    return Validated(frame.assign(**targets), tuple(sorted(listed)), coverage)


def _costs_row(found: dict[str, str], schema: TableSchema, bad_cells: BadCells) -> bool:
    """Is a row with these faults set aside? One without a valid target always is."""
    asked = {column.name for column in schema.targets}
    return bool(found) and (bad_cells == "quarantine" or not asked.isdisjoint(found))


def _empty(
    values: NDArray[np.float64],
    kept: NDArray[np.int64],
    gaps: dict[int, dict[str, str]],
    schema: TableSchema,
) -> None:
    """Make bad cells missing, in place. values: of the rows at positions `kept`."""
    row = {int(i): number for number, i in enumerate(kept)}
    where = {column.name: number for number, column in enumerate(schema.columns)}
    for i, found in gaps.items():
        values[row[i], [where[column] for column in found]] = np.nan


def _outcomes(cells: Cells, at: NDArray[np.int64], schema: TableSchema) -> dict[str, int]:
    """Rows at positions `at` whose target obeys the schema, as the objective counts them; {} of
    none."""
    asked = {column.name for column in schema.targets}
    known = [i for i in at if asked.isdisjoint(cells.broken.get(int(i), {}))]
    return objective_of(schema).tally(cells.targets[known]) if known else {}


def _mostly_broken(
    broken: dict[int, dict[str, str]], cells: Cells, at: NDArray[np.int64], schema: TableSchema
) -> dict[str, str]:
    """Columns in which over half of the hospital's non-missing cells break the schema."""
    counts = Counter(column for found in broken.values() for column in found)
    dropped = {}
    for i, column in enumerate(schema.columns):
        present = int(cells.present[at, i].sum()) if counts[column.name] else 0
        if counts[column.name] * 2 > present:
            why = f"{counts[column.name]} of {present} cells break the schema"
            dropped[column.name] = why
    return dropped


def cover(
    hospital: str, values: NDArray[np.float64], targets: NDArray[Any], schema: TableSchema
) -> Coverage:
    """Counts over clean rows. values: float64 [n, F] with NaN for missing; targets: [n, ...]."""
    missing = np.isnan(values)
    low = np.where(missing, np.inf, values).min(axis=0, initial=np.inf)
    high = np.where(missing, -np.inf, values).max(axis=0, initial=-np.inf)
    counts = zip(schema.columns, missing.sum(axis=0), low >= high, strict=True)
    found = [(c.name, int(gaps), bool(one)) for c, gaps, one in counts]
    return Coverage(
        hospital=hospital,
        rows=len(values),
        kept=len(values),
        missing={name: gaps for name, gaps, _ in found if gaps},
        constant=tuple(name for name, _, one in found if one),
        classes=objective_of(schema).tally(targets),
    )
