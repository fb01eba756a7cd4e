"""95 % intervals of AUROC and AUPRC, from the histograms alone.

design: by how many times rows are fewer than counted (labels of one row, counted as rows).
"""

from collections.abc import Sequence
from math import sqrt
from statistics import fmean

import numpy as np
from scipy.optimize import brentq

from federated.intervals import FEW, Estimate, Interval, Z, dependent, odds, share
from federated.ranking import Ranks

_LEAST = 1e-12


def auroc(groups: Sequence[Ranks], design: int = 1) -> Estimate:
    """The mean over the groups."""
    return dependent(
        [Estimate(value=one.auroc(), interval=_auroc_interval(one, design)) for one in groups]
    )


def auprc(groups: Sequence[Ranks], design: int = 1) -> Estimate:
    """The mean over the groups. Of one: Wilson's interval of that share of the class's rows.

    That average precision varies about as a share of P rows is Boyd, Eng, Page 2013
    (doi 10.1007/978-3-642-40994-3_29), section 4; their own two intervals fail near 0 and 1.
    """
    return dependent([_precision(one.auprc(), one.positives / design) for one in groups])


def _precision(average: float, positives: float) -> Estimate:
    return Estimate(value=average, interval=share(average * positives, positives))


def bounds(groups: Sequence[Ranks], suffix: str = "") -> dict[str, float]:
    """How far off both can be, the mean over the groups; of none nothing."""
    if not groups:
        return {}
    return {
        f"auroc{suffix}": fmean(one.auroc_bound() for one in groups),
        f"auprc{suffix}": fmean(one.auprc_bound() for one in groups),
    }


def _auroc_interval(one: Ranks, design: int) -> Interval:
    """DeLong's on the log-odds scale; of few rows, or where that is a point, the score interval."""
    area = one.auroc()
    least = [max(n / design, 1.0) for n in (one.positives, one.pairs / one.positives)]
    variance = delong(one) * design if min(least) >= FEW and 0 < area < 1 else 0.0
    if variance == 0:
        return _score(area, *least)
    return odds(area, sqrt(variance))


def delong(one: Ranks) -> float:
    """The variance of AUROC: DeLong, DeLong, Clarke-Pearson 1988 (doi 10.2307/2531595).

    Of the binned scores; each class's rows vary in the share of the other class that they pass.
    """
    neg, pos = one.neg, one.pos
    n, p = neg.sum(), pos.sum()
    passed = (np.cumsum(neg) - neg / 2) / n
    passed_by = (p - np.cumsum(pos) + pos / 2) / p
    area = float(pos @ passed) / p
    among = float(pos @ (passed - area) ** 2) / (p - 1)
    others = float(neg @ (passed_by - area) ** 2) / (n - 1)
    return float(among / p + others / n)


def _score(area: float, positives: float, negatives: float) -> Interval:
    """All areas a that differ from the one seen by at most Z standard errors at a.

    Newcombe 2006 (doi 10.1002/sim.2324) inverts so; the error is that of Hanley, McNeil 1982
    (doi 10.1148/radiology.143.1.7063747), their Q1 and Q2.
    """

    def far(a: float) -> float:
        q1, q2 = a / (2 - a), 2 * a * a / (1 + a)
        spread = a * (1 - a) + (positives - 1) * (q1 - a * a) + (negatives - 1) * (q2 - a * a)
        return (a - area) ** 2 - Z * Z * max(spread, 0.0) / (positives * negatives)

    inner = min(max(area, _LEAST), 1 - _LEAST)
    low = 0.0 if area <= _LEAST else float(brentq(far, 0.0, inner))
    high = 1.0 if area >= 1 - _LEAST else float(brentq(far, inner, 1.0))
    return Interval(low, high)
