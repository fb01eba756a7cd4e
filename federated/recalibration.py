"""Are probabilities right on average, and as far apart as they should be? Slope, intercept, O/E.

From a yes/no question's histogram of log-odds: every row counts as if amid its bin, which moves it
by under 1/100 around even odds (of 2,000 bins). The three together: Van Calster et al. 2019 (doi
10.1186/s12916-019-1466-7).
"""

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, logit

from federated.histograms import ONE, Floats, Ints, middles
from federated.intervals import NONE, Estimate, Interval, Z, share
from federated.schema import Record

_STEPS = 30
_EXACT = 1e-9
_FAR = 1000.0


class Recalibration(Record):
    """slope: best 1, below it predictions are too extreme. intercept: best 0, above it too low.
    observed_expected: rows with the event over the sum of their probabilities, best 1."""

    slope: Estimate
    intercept: Estimate
    observed_expected: Estimate


def recalibration(neg: Ints, pos: Ints, calibration: Ints) -> Recalibration | None:
    """Of histograms [B] and calibration bins [3, M]; None unless there are rows of both kinds."""
    some = neg + pos > 0
    if not neg.any() or not pos.any():
        return None
    odds, rows, hits = middles(len(neg))[some], (neg + pos)[some].astype(float), pos[some]
    return Recalibration(
        slope=_slope(odds, rows, hits),
        intercept=_intercept(odds, rows, hits),
        observed_expected=_observed_expected(calibration),
    )


def _slope(odds: Floats, rows: Floats, hits: Ints) -> Estimate:
    """b of logit P = a + b·odds by maximum likelihood (Cox 1958, doi 10.1093/biomet/45.3-4.562).

    Newton's steps. Undefined if all odds are equal, or if events and others do not overlap.
    """
    middle = float(np.average(odds, weights=rows))
    width = float(np.sqrt(np.average((odds - middle) ** 2, weights=rows)))
    if width <= _EXACT:
        return NONE
    design = np.stack([np.ones_like(odds), (odds - middle) / width], axis=1)
    found = np.array([logit(hits.sum() / rows.sum()), 0.0])
    for _ in range(_STEPS):
        chance = expit(design @ found)
        known = (design * (rows * chance * (1 - chance))[:, None]).T @ design
        if np.linalg.cond(known) > 1 / _EXACT:
            return NONE
        step = np.linalg.solve(known, design.T @ (hits - rows * chance))
        found = found + step
        if np.abs(step).max() < _EXACT:
            half = Z * float(np.sqrt(np.linalg.inv(known)[1, 1])) / width
            slope = float(found[1]) / width
            return Estimate(value=slope, interval=Interval(slope - half, slope + half))
    return NONE


def _intercept(odds: Floats, rows: Floats, hits: Ints) -> Estimate:
    """a of logit P = a + odds by maximum likelihood: what all log-odds lack."""
    events = float(hits.sum())

    def lacking(a: float) -> float:
        return events - float(rows @ expit(odds + a))

    value = float(brentq(lacking, -_FAR, _FAR))
    chance = expit(odds + value)
    known = float(rows @ (chance * (1 - chance)))
    if known <= _EXACT:
        return Estimate(value=value)
    half = Z / np.sqrt(known)
    return Estimate(value=value, interval=Interval(value - half, value + half))


def _observed_expected(calibration: Ints) -> Estimate:
    """Σ hits / Σ P, with the limits of the share of hits (Wilson) over the mean P."""
    rows, expected, hits = (int(n) for n in calibration.sum(axis=1))
    observed = share(hits, rows)
    if observed is None or not expected:
        return NONE
    mean = expected / (rows * ONE)
    limits = Interval(observed.low / mean, observed.high / mean)
    return Estimate(value=hits * ONE / expected, interval=limits)
