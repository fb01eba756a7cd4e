"""Rows by score and by confidence: what ranking and calibration are worked out from."""

from collections.abc import Callable
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from federated.metrics import ratio

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
ONE = 2**32
"""1.0 in fixed point."""


def score_bins(chance: Floats, is_class: NDArray[np.bool_], bins: int) -> Ints:
    """[n, K'] probabilities → histograms [K', 2, B], [:, 1] of the rows of the class.

    Bin b is [b/B, (b+1)/B); 1.0 is in the last.
    """
    groups = chance.shape[1]
    index = (np.arange(groups) * 2 + is_class) * bins + _bins(chance, bins)
    return np.bincount(index.ravel(), minlength=groups * 2 * bins).reshape(groups, 2, bins)


def calibration_bins(confidence: Floats, hit: NDArray[np.bool_], bins: int) -> Ints:
    """[n] confidences and hits → [3, M]: rows, fixed-point sum of confidence, hits."""
    index = _bins(confidence, bins)
    summed = np.bincount(index, weights=confidence, minlength=bins)
    return np.stack(
        [
            np.bincount(index, minlength=bins),
            np.rint(summed * ONE).astype(np.int64),
            np.bincount(index[hit], minlength=bins),
        ]
    )


def over_groups(rule: Callable[[Ints, Ints], float | None], scores: Ints) -> float | None:
    """The mean of rule(neg, pos) over the groups [K', 2, B] for which it is defined.

    A rule gets the bins that are not empty, and groups that have rows of both kinds: of many
    hospitals with few rows that is little.
    """
    both = scores.sum(axis=2).all(axis=1)
    filled = scores[both][:, :, scores.any(axis=(0, 1))]
    values = [v for neg, pos in filled if (v := rule(neg, pos)) is not None]
    return fmean(values) if values else None


def auroc(neg: Ints, pos: Ints) -> float | None:
    """Mann–Whitney: pairs ordered rightly, ties ½, over all pairs."""
    below = 2 * np.cumsum(neg) - neg  # twice: the lower bins, and half of this one
    return ratio(int(pos @ below), 2 * _pairs(neg, pos))


def average_precision(neg: Ints, pos: Ints) -> float | None:
    """Σ (R_k - R_{k-1}) P_k over bins from the highest down, as scikit-learn has it."""
    if not _pairs(neg, pos):
        return None
    gained = pos[::-1]
    hits, taken = np.cumsum(gained), np.cumsum((pos + neg)[::-1])
    some = gained > 0
    precision: Floats = hits[some] / taken[some]
    return float(gained[some] @ precision / pos.sum())


def auroc_resolution(scores: Ints) -> float | None:
    """How far the AUROC of histograms [K', 2, B] can be from that of the scores before binning.

    ½ Σ_b pos_b·neg_b / (P·N): only pairs in one bin can be ordered otherwise; each counts ½ and
    truly 0 … 1.
    """
    return over_groups(lambda neg, pos: ratio(int(neg @ pos), 2 * _pairs(neg, pos)), scores)


def calibration_error(calibration: Ints) -> float | None:
    """Σ_bins |hits - confidence| / rows: the expected calibration error."""
    rows, confidence, hits = calibration
    return ratio(int(np.abs(hits * ONE - confidence).sum()), int(rows.sum()) * ONE)


def _pairs(neg: Ints, pos: Ints) -> int:
    return int(neg.sum()) * int(pos.sum())


def _bins(values: Floats, bins: int) -> Ints:
    """The bin of every value in 0 … 1, as index."""
    return np.minimum((values * bins).astype(np.int64), bins - 1)
