"""Which of a hospital's rows train, validate and test: stratified by class, drawn once per seed.

Test rows: round(n · fraction), at least one and at most n - 1. Each class gives its share, rounded
down; what is left over goes one by one to the classes with the largest remainders (the lower class
index first). Every class keeps a training row, so a class with a single row is training only. If
every class has a single row, one row at random is for testing.

Validation rows are drawn by the same rule, by another generator, from the rows that are not for
testing: a test row is the same row whatever the validation fraction. Every class still keeps a
training row, so a class of two rows that gave one for testing gives none here, and a hospital in
which no class has a row to spare has no validation rows.

Where the data name patients, a row here stands for one of them (`federated.patients`).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from federated.errors import DataError
from federated.seeds import seed

TRAIN, TEST, VALIDATION = 0, 1, 2
Codes = NDArray[np.uint8]
"""What each row is for, uint8 [n]: TRAIN, TEST or VALIDATION."""


def generator(*parts: int | str) -> np.random.Generator:
    """A numpy generator that depends on its parts alone."""
    return np.random.default_rng(seed(*parts))


def split(
    hospital: str,
    targets: NDArray[np.int64],
    test_fraction: float,
    validation_fraction: float,
    data_seed: int,
    published: Codes | None = None,
) -> Codes:
    """What each row is for; depends on the arguments alone.

    targets: int64 [n], the class, or what else the objective stratifies by. published: codes that
    came with the data set. They are kept, and validation rows are drawn only where they hold none.
    Raises DataError for fewer than two rows, and for published codes without a training or a test
    row.
    """
    rows = len(targets)
    if rows < 2:
        raise DataError(
            f"hospital {hospital!r}: {rows} rows cannot be split into training and test; "
            "two are the least"
        )
    if published is None:
        codes = np.zeros(rows, dtype=np.uint8)
        codes[_test_rows(targets, test_fraction, generator("split", data_seed, hospital))] = TEST
    else:
        codes = _checked(hospital, published)
    if validation_fraction and VALIDATION not in codes:
        rest = np.flatnonzero(codes == TRAIN)
        wanted = wanted_rows(rows, validation_fraction)
        drawn = generator("validation", data_seed, hospital)
        chosen = _stratified(targets[rest], wanted / len(rest), wanted, drawn)
        codes[rest[chosen]] = VALIDATION
    return codes


def _test_rows(
    targets: NDArray[np.int64], fraction: float, drawn: np.random.Generator
) -> NDArray[np.bool_]:
    """True for a test row, bool [n]; at least one."""
    test = _stratified(targets, fraction, wanted_rows(len(targets), fraction), drawn)
    if not test.any():
        test[drawn.integers(len(targets))] = True
    return test


def _checked(hospital: str, published: Codes) -> Codes:
    """A copy of the published codes. Raises DataError for a hospital that cannot use them."""
    for code, kind in ((TRAIN, "training"), (TEST, "test")):
        if code not in published:
            raise DataError(
                f"hospital {hospital!r}: the data set's published split leaves it no {kind} row "
                f"among {len(published)}; choose another data.partition, fewer hospitals, or do "
                "without the published split"
            )
    return published.astype(np.uint8)


def _stratified(
    targets: NDArray[np.int64], fraction: float, wanted: int, drawn: np.random.Generator
) -> NDArray[np.bool_]:
    """True for about `wanted` rows, `fraction` of each class, bool [n]."""
    chosen = np.zeros(len(targets), dtype=np.bool_)
    classes, counts = np.unique(targets, return_counts=True)
    shares = _shares(counts, fraction, wanted)
    for label, count in zip(classes, shares, strict=True):
        rows = drawn.permutation(np.flatnonzero(targets == label))
        chosen[rows[:count]] = True
    return chosen


def _shares(counts: NDArray[np.int64], fraction: float, wanted: int) -> NDArray[np.int64]:
    """Rows of each class (see the rule above), int64 [classes]."""
    room = counts - 1
    exact = counts * fraction
    given: NDArray[np.int64] = np.minimum(np.floor(exact).astype(np.int64), room)
    for i in np.argsort(given - exact, kind="stable"):
        if given.sum() < wanted and given[i] < room[i]:
            given[i] += 1
    return given


def wanted_rows(rows: int, fraction: float) -> int:
    """The share in whole rows: the nearest number, halves up, at least one."""
    return max(1, math.floor(rows * fraction + 0.5))
