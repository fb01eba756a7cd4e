"""ROC and calibration curves for plots, from counts."""

import numpy as np
from numpy.typing import NDArray

from federated.histograms import ONE, Ints
from federated.schema import Record

Points = tuple[tuple[float, float], ...]
_GRID = 101
_DIGITS = 6


class Calibration(Record):
    """One bin: mean confidence, share of hits, rows."""

    confidence: float
    observed: float
    rows: int


class Curve(Record):
    """ROC points (empty where undefined) and calibration bins over some test rows."""

    roc: Points
    calibration: tuple[Calibration, ...]


def roc_points(scores: Ints) -> Points:
    """(false positive rate, true positive rate) from (0, 0) to (1, 1); empty where undefined.

    scores: int64 [K', 2, B], see `histograms.score_bins`. Corners only. K' > 1: the mean of the
    one-against-the-rest curves that are defined, on a grid of 101 false positive rates.
    """
    curves = [_curve(neg, pos) for neg, pos in scores if neg.sum() and pos.sum()]
    if not curves:
        return ()
    if len(scores) == 1:
        return _points(*curves[0])
    grid = np.linspace(0, 1, _GRID)
    mean = np.mean([np.interp(grid, x, y) for x, y in curves], axis=0)
    mean[0] = 0.0
    return _points(grid, mean)


def calibration_points(calibration: Ints) -> tuple[Calibration, ...]:
    """The bins [3, M] that hold rows, from low confidence to high."""
    return tuple(
        Calibration(
            confidence=round(int(total) / (int(rows) * ONE), _DIGITS),
            observed=round(int(hits) / int(rows), _DIGITS),
            rows=int(rows),
        )
        for rows, total, hits in calibration.T
        if rows
    )


def _curve(neg: Ints, pos: Ints) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rates as the threshold falls, without the points inside straight runs."""
    x = np.concatenate([[0], np.cumsum(neg[::-1])])
    y = np.concatenate([[0], np.cumsum(pos[::-1])])
    moved = np.concatenate([[True], (np.diff(x) > 0) | (np.diff(y) > 0)])
    x, y = x[moved], y[moved]
    turn = np.diff(x)[:-1] * np.diff(y)[1:] != np.diff(x)[1:] * np.diff(y)[:-1]
    keep = np.concatenate([[True], turn, [True]])
    return x[keep] / x[-1], y[keep] / y[-1]


def _points(x: NDArray[np.float64], y: NDArray[np.float64]) -> Points:
    return tuple(
        (round(float(a), _DIGITS), round(float(b), _DIGITS)) for a, b in zip(x, y, strict=True)
    )
