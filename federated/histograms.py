"""Rows by score and by confidence: what ranking and calibration are worked out from.

A score is a log-odds z, and a bin an interval of arcsinh(z / 4): about equally wide in log-odds
where models are unsure, and wider in proportion to z far out. So bins stay apart where
probabilities pile up near 0 or 1: rare events, saturated models. The limits are the same for
everybody, so histograms add up without a word beforehand.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from federated.intervals import NONE, Estimate, Interval, share

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
ONE = 2**32
"""1.0 in fixed point."""
_SCALE = 4.0
_REACH = 5.0
"""Log-odds beyond ± 4 sinh(5) = 297 are in the outermost bins."""


def bins_of(scores: Floats, bins: int) -> Ints:
    """The bin of every log-odds, as index; 0 is the lower limit of bin `bins / 2`."""
    place = np.arcsinh(scores / _SCALE) / _REACH
    return np.clip(np.floor((place + 1) * (bins / 2)), 0, bins - 1).astype(np.int64)


def limits(bins: int) -> Floats:
    """Log-odds [bins + 1] where the bins begin and end."""
    return _SCALE * np.sinh(np.linspace(-_REACH, _REACH, bins + 1))


def middles(bins: int) -> Floats:
    """A log-odds [bins] amid each bin."""
    places = (np.arange(bins) + 0.5) * (2 * _REACH / bins) - _REACH
    middle: Floats = _SCALE * np.sinh(places)
    return middle


def probabilities(bins: int) -> Floats:
    """P [bins] amid each bin."""
    found: Floats = expit(middles(bins))
    return found


def score_bins(index: Ints, is_class: NDArray[np.bool_], bins: int) -> Ints:
    """[n, K'] bins → histograms [K', 2, B], [:, 1] of the rows of the class."""
    groups = index.shape[1]
    cells = (np.arange(groups) * 2 + is_class) * bins + index
    return np.bincount(cells.ravel(), minlength=groups * 2 * bins).reshape(groups, 2, bins)


def calibration_bins(confidence: Floats, hit: NDArray[np.bool_], bins: int) -> Ints:
    """[n] confidences and hits → [3, M]: rows, fixed-point sum of confidence, hits.

    Bin m is [m/M, (m+1)/M); 1.0 is in the last.
    """
    index = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    summed = np.bincount(index, weights=confidence, minlength=bins)
    return np.stack(
        [
            np.bincount(index, minlength=bins),
            np.rint(summed * ONE).astype(np.int64),
            np.bincount(index[hit], minlength=bins),
        ]
    )


def calibration_error(calibration: Ints, design: int = 1) -> Estimate:
    """Σ_bins |hits - confidence| / rows: the expected calibration error.

    Its limits: each bin's hits at the limits of their share (Wilson) nearest to its confidence, and
    farthest; a perfectly calibrated model's error is above 0 on few rows, and the lower limit is 0.
    design: so many counted rows weigh as one.
    """
    parts = [(int(n), int(total) / ONE, int(hits)) for n, total, hits in calibration.T if n]
    rows = sum(n for n, _, _ in parts)
    if not rows:
        return NONE
    low = high = 0.0
    for n, confidence, hits in parts:
        ends = [confidence - n * end for end in share(hits / design, n / design) or ()]
        high += max(map(abs, ends))
        low += 0.0 if min(ends) <= 0 <= max(ends) else min(map(abs, ends))
    error = sum(abs(hits - confidence) for _, confidence, hits in parts)
    return Estimate(value=error / rows, interval=Interval(low / rows, high / rows))


def calibrated(calibration: Ints, rows: int) -> bool:
    """Can these be so many rows' bins: [3, M], each one's confidence within its limits?"""
    if len(calibration) != 3 or calibration[0].max() > rows:
        return False
    number, confidence, hits = calibration
    limits = np.arange(len(number) + 1) / len(number)
    slack = number * (ONE * 1e-9) + number + 1
    return bool(
        number.sum() == rows
        and (hits <= number).all()
        and (confidence >= number * limits[:-1] * ONE - slack).all()
        and (confidence <= number * limits[1:] * ONE + slack).all()
    )
