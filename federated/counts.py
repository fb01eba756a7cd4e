"""What evaluation needs to know of a hospital's rows, as integers that merge by addition.

Integers add in any order to the same bits, so the overall metrics need no row to travel and do
not depend on which hospital answers first. Sums of real numbers are kept as fixed point: the
float64 sum over one hospital's rows, times 2^32, rounded to nearest. What is counted is the
objective's choice (`federated/objectives/`).
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from federated.curves import Curve
from federated.errors import DataError
from federated.histograms import ONE, Ints
from federated.metrics import Metrics, Reading


@dataclass(frozen=True, eq=False)
class Counts(ABC):
    """Counts over some rows; every field is a whole number or an int64 array, and adds up.

    arrays: the fields that are arrays, and their dimensions. signed: those that may be negative.
    """

    reading: ClassVar[Reading]
    arrays: ClassVar[Mapping[str, int]] = {}
    signed: ClassVar[frozenset[str]] = frozenset()

    rows: int

    @abstractmethod
    def consistent(self) -> bool:
        """Do shapes and totals agree?"""

    @abstractmethod
    def metrics(self) -> Metrics:
        """All metrics of the rows counted; what is undefined is None, never 0, 1 or NaN."""

    def curve(self, threshold: float) -> Curve:
        """The curves of the rows counted; empty for questions that have none.

        threshold: the one that they were counted at.
        """
        return Curve(roc=(), calibration=())

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Self:
        """Counts from their fields. Raises DataError where they contradict themselves."""
        names = {f.name for f in fields(cls)}
        if set(values) != names:
            raise DataError(
                f"counts: expected {sorted(names)}, got {sorted(values)}: another version of "
                "Wardround counted them"
            )
        checked: dict[str, Any] = {
            name: _array(name, values[name], cls.arrays[name])
            if name in cls.arrays
            else _whole(name, values[name], signed=name in cls.signed)
            for name in names
        }
        counts = cls(**checked)
        if counts.rows > MOST_ROWS or not counts.consistent():
            raise DataError("counts: shapes or totals contradict each other")
        return counts


_C = TypeVar("_C", bound=Counts)
MOST_ROWS = 2**30
"""Of all hospitals together: products of two numbers of rows still fit 64 bits."""
_MOST = 2**1040
"""Larger than any sum of what `fixed` takes; a figure worked out from it is still a float."""


def merge(parts: Sequence[_C]) -> _C:
    """The counts of all parts' rows together, the same bits in any order.

    Raises ValueError for no parts, parts of another kind, with other classes or bins, or more than
    `MOST_ROWS` rows in all.
    """
    if not parts:
        raise ValueError("no counts to merge")
    kind = type(parts[0])
    shapes = {(type(p), *(getattr(p, name).shape for name in p.arrays)) for p in parts}
    if len(shapes) > 1:
        raise ValueError(f"counts differ in kind, classes or bins: {sorted(map(str, shapes))}")
    if sum(p.rows for p in parts) > MOST_ROWS:
        raise ValueError(f"counts of more than {MOST_ROWS} rows cannot be added exactly")
    each = {f.name: [getattr(p, f.name) for p in parts] for f in fields(kind)}
    return kind(**{n: np.sum(v, axis=0) if n in kind.arrays else sum(v) for n, v in each.items()})


def to_dict(counts: Counts) -> dict[str, Any]:
    """The kind, plain integers and nested lists, for JSON."""
    values = {f.name: getattr(counts, f.name) for f in fields(counts)}
    plain = {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in values.items()}
    return {"kind": counts.reading.kind} | plain


def fixed(value: float, what: str) -> int:
    """`value` in fixed point, rounded to nearest. Raises ValueError naming `what` if not finite."""
    if not math.isfinite(value * ONE):
        raise ValueError(f"the {what} is not finite")
    return round(value * ONE)


def squared(values: NDArray[np.float64], what: str) -> int:
    """The sum of squares in 1 / ONE². Raises ValueError naming `what` if not finite."""
    with np.errstate(over="ignore"):
        total = float(np.square(values * ONE).sum())
    if not math.isfinite(total):
        raise ValueError(f"the {what} is too large to be squared")
    return round(total)


def agree(total: int, squared: int, rows: int) -> bool:
    """Can Σx in 1 / ONE and Σx² in 1 / ONE², of x ≥ 0, be over so many rows?

    (Σx)² / rows ≤ Σx² ≤ (Σx)², but for the rounding of each part's sums and of float64.
    """
    rounding = rows * (total + rows)
    low = total**2 - (total**2 >> 30) - rounding
    return low <= rows * squared and squared <= total**2 + (squared >> 30) + rounding


def _whole(name: str, value: object, *, signed: bool) -> int:
    if type(value) is not int or abs(value) > _MOST or (value < 0 and not signed):
        raise DataError(f"counts: {name} is not a whole number{'' if signed else ' ≥ 0'}")
    return value


def _array(name: str, value: object, dimensions: int) -> Ints:
    """A non-negative int64 array from nested lists."""
    try:
        array = np.asarray(value)
    except ValueError:
        raise DataError(f"counts: {name} is ragged") from None
    if array.ndim != dimensions or array.dtype != np.int64 or array.size == 0 or array.min() < 0:
        raise DataError(f"counts: {name} is not a {dimensions}-d array of whole numbers ≥ 0")
    return array
