"""Which of a hospital's rows are kept for testing: stratified by class, drawn once per seed.

Rule: round(n · fraction) rows, at least one and at most n - 1. Each class gives its share,
rounded down; what is left over goes one by one to the classes with the largest remainders (the
lower class index first). Every class keeps a training row, so a class with a single row is
training only. If every class has a single row, one row at random is for testing.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from federated.errors import DataError
from federated.seeds import seed


def generator(*parts: int | str) -> np.random.Generator:
    """A numpy generator that depends on its parts alone."""
    return np.random.default_rng(seed(*parts))


def split(
    hospital: str, targets: NDArray[np.int64], fraction: float, data_seed: int
) -> NDArray[np.bool_]:
    """True for the test rows, bool [n]; depends on the arguments alone.

    targets: int64 [n], the class, or what else the objective stratifies by.
    Raises DataError for fewer than two rows.
    """
    if len(targets) < 2:
        raise DataError(
            f"hospital {hospital!r}: {len(targets)} rows cannot be split into training and test; "
            "two are the least"
        )
    drawn = generator("split", data_seed, hospital)
    test = np.zeros(len(targets), dtype=np.bool_)
    classes, counts = np.unique(targets, return_counts=True)
    for label, count in zip(classes, _test_counts(counts, fraction), strict=True):
        rows = drawn.permutation(np.flatnonzero(targets == label))
        test[rows[:count]] = True
    if not test.any():
        test[drawn.integers(len(targets))] = True
    return test


def _test_counts(counts: NDArray[np.int64], fraction: float) -> NDArray[np.int64]:
    """Test rows of each class (see the rule above), int64 [classes]."""
    room = counts - 1
    wanted = max(1, math.floor(counts.sum() * fraction + 0.5))
    exact = counts * fraction
    given: NDArray[np.int64] = np.minimum(np.floor(exact).astype(np.int64), room)
    for i in np.argsort(given - exact, kind="stable"):
        if given.sum() < wanted and given[i] < room[i]:
            given[i] += 1
    return given
