"""Rows of one patient are one unit: of every split, of every partition, and in what is counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

Ints = NDArray[np.int64]


def owners(patients: Ints) -> Ints:
    """The patient of each row as 0, 1, … in the order of their first rows, int64 [n]."""
    _, first, owner = np.unique(patients, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[owner]


def highest(values: Ints, owner: Ints) -> Ints:
    """Each patient's highest value, int64 [patients]: of events any, of dates the latest.

    values: int64 [n]; owner: as `owners` gives it.
    """
    found = np.full(int(owner.max(initial=-1)) + 1, np.iinfo(np.int64).min)
    np.maximum.at(found, owner, values)
    return found


def rows_of(units: Ints, owner: Ints) -> Ints:
    """The rows of some patients, in order."""
    return np.flatnonzero(np.isin(owner, units))


def distinct(patients: Ints | Tensor) -> int:
    """How many patients these rows are of."""
    return len(np.unique(np.asarray(patients)))
