"""ROC and calibration curves for plots, from counts."""

import numpy as np
from numpy.typing import NDArray

from federated.decisions import Benefit, Operating
from federated.histograms import ONE, Floats, Ints, probabilities
from federated.intervals import Interval, share
from federated.recalibration import Recalibration
from federated.schema import Record

Points = tuple[tuple[float, float], ...]
_GRID = 101
_GROUPS = 5
_DIGITS = 6


class Calibration(Record):
    """A group of rows of like confidence: its mean, the share of hits, and their number."""

    confidence: float
    observed: float
    rows: int
    interval: Interval


class Curve(Record):
    """What is drawn of some test rows; empty or None where undefined.

    calibration: five groups of about as many rows. recalibration, operating, decision: of two
    classes, all of class 1.
    """

    roc: Points
    calibration: tuple[Calibration, ...]
    recalibration: Recalibration | None = None
    operating: tuple[Operating, ...] = ()
    decision: tuple[Benefit, ...] = ()


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


def of_scores(neg: Ints, pos: Ints) -> tuple[Calibration, ...]:
    """The curve of class 1, every row as if amid its bin of log-odds [B]."""
    return _fifths(neg + pos, (neg + pos) * probabilities(len(neg)), pos)


def of_confidence(calibration: Ints) -> tuple[Calibration, ...]:
    """The curve of calibration bins [3, M]."""
    rows, confidence, hits = calibration
    return _fifths(rows, confidence / ONE, hits)


def _fifths(rows: Ints, confidence: Floats, hits: Ints) -> tuple[Calibration, ...]:
    """Bins, lowest first, in at most five groups: a bin is in the fifth where its middle row is."""
    before = np.cumsum(rows) - rows / 2
    fifth = np.minimum(before * _GROUPS // max(int(rows.sum()), 1), _GROUPS - 1)
    found = []
    for group in range(_GROUPS):
        inside = fifth == group
        n, events = int(rows[inside].sum()), int(hits[inside].sum())
        limits = share(events, n)
        if limits is not None:
            mean = round(float(confidence[inside].sum()) / n, _DIGITS)
            observed = round(events / n, _DIGITS)
            found.append(Calibration(confidence=mean, observed=observed, rows=n, interval=limits))
    return tuple(found)


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
