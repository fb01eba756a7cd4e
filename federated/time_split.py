"""Training, test and validation by time: the test rows are the latest, as for those who predict.

Rows of one time stay together, so a share is met as nearly as the times allow; of two cuts that are
equally near, the one with fewer rows for testing is taken. The validation rows are the latest of
the rest, by the same rule; there are none where the rest is of one time. Nothing is drawn.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from federated.errors import DataError
from federated.split import TEST, VALIDATION, Codes, wanted_rows


def split_by_time(
    hospital: str, times: NDArray[np.int64], test_fraction: float, validation_fraction: float
) -> Codes:
    """What each row is for. times: int64 [n], the larger the later; depends on the arguments alone.

    Raises DataError where all rows are of one time.
    """
    rows = len(times)
    codes = np.zeros(rows, dtype=np.uint8)
    test = _latest(times, wanted_rows(rows, test_fraction))
    if not test.any():
        raise DataError(
            f"hospital {hospital!r}: all its {rows} rows are of one time, so none is later than "
            "others and can test: give data.source.split another column, or leave it out"
        )
    codes[test] = TEST
    if validation_fraction:
        rest = np.flatnonzero(~test)
        codes[rest[_latest(times[rest], wanted_rows(rows, validation_fraction))]] = VALIDATION
    return codes


def _latest(times: NDArray[np.int64], wanted: int) -> NDArray[np.bool_]:
    """True for about so many of the latest rows, bool [n]; none if all are of one time."""
    found, counts = np.unique(times, return_counts=True)
    later = np.cumsum(counts[::-1])[:-1]  # rows of the last time, of the last two, …
    if not len(later):
        return np.zeros(len(times), dtype=np.bool_)
    last = int(np.argmin(np.abs(later - wanted))) + 1
    chosen: NDArray[np.bool_] = times >= found[-last]
    return chosen
