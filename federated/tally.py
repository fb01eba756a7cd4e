"""What training rows hold besides sums: who is missing, which codes occur, what varies.

From all hospitals' tallies follows which inputs a model has (`federated/inputs.py`), the same ones
wherever it is worked out. A number of 1 to 4 patients leaves a hospital as 1: that a code occurs
there the first update says too (the update of its weight is 0 where nobody has it), how few have it
does not.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from federated.patients import distinct
from federated.schema import TableSchema
from federated.statistics import FEWEST_PATIENTS

Numbers = tuple[int, ...]


@dataclass(frozen=True)
class Tally:
    """Training patients of one hospital, or of all; one entry a column of a table.

    read: does a hospital know the column of FEWEST_PATIENTS? Elsewhere it reads as missing.
    missing: patients without a value, all of a hospital where it reads as missing.
    levels: patients by code, in the schema's order; empty of a numeric column.
    varies: does a numeric column hold more than one value at some hospital?
    """

    read: tuple[bool, ...]
    missing: Numbers
    levels: tuple[Numbers, ...]
    varies: tuple[bool, ...]


def readable(training: Tensor) -> Tensor:
    """Columns that a hospital knows of enough patients, bool [F]; all others read as missing there.

    training: its training rows, float64 [n, F], NaN for missing.
    """
    return (~training.isnan()).sum(dim=0) >= FEWEST_PATIENTS


def tally(training: Tensor, schema: TableSchema, patients: Tensor | None = None) -> Tally:
    """Of one hospital. training: as `readable` has it. patients: whose each row is, int64 [n]; None
    where every row is a patient of its own."""

    def count(rows: Tensor) -> int:
        return _said(int(rows.sum()) if patients is None else distinct(patients[rows]))

    read = readable(training)
    rows = training.masked_fill(~read, torch.nan)
    pairs = list(zip(schema.columns, rows.unbind(1), strict=True))
    return Tally(
        read=tuple(read.tolist()),
        missing=tuple(count(cells.isnan()) for _, cells in pairs),
        levels=tuple(
            tuple(count(cells == code) for code in column.codes) for column, cells in pairs
        ),
        varies=tuple(
            column.kind == "numeric" and _differ(cells[~cells.isnan()]) for column, cells in pairs
        ),
    )


def merge(parts: Sequence[Tally]) -> Tally:
    """All hospitals' tallies; the same in any order."""
    columns = zip(*(part.levels for part in parts), strict=True)
    return Tally(
        read=_any(part.read for part in parts),
        missing=_sum(part.missing for part in parts),
        levels=tuple(_sum(each) for each in columns),
        varies=_any(part.varies for part in parts),
    )


def _differ(values: Tensor) -> bool:
    return len(values) > 0 and bool(values.min() < values.max())


def _said(patients: int) -> int:
    """A number of patients as it leaves a hospital."""
    return min(patients, 1) if patients < FEWEST_PATIENTS else patients


def _sum(parts: Iterable[Numbers]) -> Numbers:
    return tuple(map(sum, zip(*parts, strict=True)))


def _any(parts: Iterable[tuple[bool, ...]]) -> tuple[bool, ...]:
    return tuple(map(any, zip(*parts, strict=True)))
