"""95 % intervals of figures that are worked out from counts.

Each is of the rows counted, taken as drawn independently from rows like them: of all hospitals
together it says nothing of a hospital that took no part. None where there is nothing to say.
"""

from collections.abc import Sequence
from math import exp, inf, isqrt, sqrt
from statistics import fmean
from typing import NamedTuple

from scipy.special import expit, logit, ndtri, stdtrit

from federated.schema import Record

LEVEL = 0.95
_UPPER = (1 + LEVEL) / 2
FEW = 30
"""Rows, of a class or with an event, below which an estimated variance is not trusted: of 10 among
200, DeLong's interval holds the true AUROC 77 times in 100."""
FEWEST = 5
"""Rows of the rarer outcome below which a mean loss or Brier score has no interval: of 1,000 rows
Student's held the truth 94 times in 100 from 5 on, 86 times where about 2 are to be expected."""
Z = float(ndtri(_UPPER))
"""1.96: a normal value is within ± Z of its mean with a chance of 95 %."""


class Interval(NamedTuple):
    """The 95 % interval of a figure; as JSON [low, high]."""

    low: float
    high: float


class Estimate(Record):
    """A figure and its interval; both None where undefined."""

    value: float | None
    interval: Interval | None = None


NONE = Estimate(value=None)


def share(part: float, whole: float) -> Interval | None:
    """Wilson's score interval of part / whole; of 0 or all of few rows it is not a point.

    Wilson 1927 (doi 10.1080/01621459.1927.10502953); the form is (4) in Brown, Cai, DasGupta 2001
    (doi 10.1214/ss/1009213286).
    """
    if whole <= 0:
        return None
    p, n = part / whole, whole + Z * Z
    middle = (part + Z * Z / 2) / n
    half = Z / n * sqrt(max(whole * p * (1 - p) + Z * Z / 4, 0.0))
    return Interval(min(max(middle - half, 0.0), p), max(min(middle + half, 1.0), p))


def estimated_share(part: int, whole: int) -> Estimate:
    """part / whole with Wilson's interval."""
    return Estimate(value=part / whole, interval=share(part, whole)) if whole else NONE


def mean(value: float, deviation: float, rows: int, least: float = -inf) -> Interval | None:
    """Student's interval of a mean of `rows` values with this (population) standard deviation.

    No lower than `least`. None of fewer than two rows.
    """
    if rows < 2:
        return None
    half = float(stdtrit(rows - 1, _UPPER)) * deviation / sqrt(rows - 1)
    return Interval(max(value - half, least), value + half)


def mean_of_sums(total: int, squares: int, rows: int, unit: int, least: float = 0.0) -> Estimate:
    """A mean with its interval, of whole sums: Σx in 1 / unit, Σx² in 1 / unit². least: x is."""
    if not rows:
        return NONE
    value = total / (rows * unit)
    deviation = root(max(rows * squares - total * total, 0), (rows * unit) ** 2)
    return Estimate(value=value, interval=mean(value, deviation, rows, least))


def unless_few(found: Estimate, rarer: int) -> Estimate:
    """The figure without an interval where fewer than FEWEST rows are of the rarer outcome: rows
    without an event spread hardly at all, and say nothing of what an event will cost."""
    return found if rarer >= FEWEST else Estimate(value=found.value)


def scaled(value: float, deviation: float, rows: int) -> Estimate:
    """A mean ≥ 0 of skewed values, Student's interval on the scale of its logarithm."""
    if rows < 2 or not value:
        return Estimate(value=value, interval=mean(value, deviation, rows))
    half = float(stdtrit(rows - 1, _UPPER)) * deviation / (value * sqrt(rows - 1))
    return Estimate(value=value, interval=Interval(value * exp(-half), value * exp(half)))


def odds(value: float, error: float) -> Interval:
    """Of a chance 0 < value < 1 with this standard error, symmetric in its log-odds.

    So it stays within 0 … 1: Qin, Hotilovac 2008 (doi 10.1177/0962280207087173).
    """
    half, middle = Z * error / (value * (1 - value)), logit(value)
    return Interval(float(expit(middle - half)), float(expit(middle + half)))


def separate(parts: Sequence[Estimate]) -> Estimate:
    """The plain mean of figures over different rows.

    The squares of the distances to the limits add: Zou, Donner 2008 (doi 10.1002/sim.3095), (3).
    """
    values, known = _known(parts)
    if not known:
        return NONE
    middle, n = fmean(values), len(known)
    below = sqrt(sum((v - one.low) ** 2 for v, one in zip(values, known, strict=True))) / n
    above = sqrt(sum((one.high - v) ** 2 for v, one in zip(values, known, strict=True))) / n
    return Estimate(value=middle, interval=Interval(middle - below, middle + above))


def dependent(parts: Sequence[Estimate]) -> Estimate:
    """The plain mean of figures over the same rows; its limits are the means of their limits.

    That is right if all err together, and too wide otherwise (the standard deviation of a mean is
    at most the mean standard deviation): how they err together is not counted.
    """
    values, known = _known(parts)
    if not known:
        return NONE
    limits = Interval(fmean(one.low for one in known), fmean(one.high for one in known))
    return Estimate(value=fmean(values), interval=limits)


def _known(parts: Sequence[Estimate]) -> tuple[list[float], list[Interval]]:
    """Of those that are defined."""
    both = [(p.value, p.interval) for p in parts if p.value is not None and p.interval is not None]
    return [value for value, _ in both], [interval for _, interval in both]


def f1(hits: int, wrong: int) -> Estimate:
    """2 hits / (2 hits + wrong), wrong: missed or falsely named rows.

    F1 = 2J / (1 + J) of J = hits / (hits + wrong), which is a share: Wilson's limits are carried
    through. Undefined where nothing is hit, missed or named.
    """
    found = share(hits, hits + wrong)
    if found is None:
        return NONE
    low, high = (2 * limit / (1 + limit) for limit in found)
    return Estimate(value=2 * hits / (2 * hits + wrong), interval=Interval(low, high))


def root(numerator: int, denominator: int) -> float:
    """√(numerator / denominator) of whole numbers without bound."""
    scale = 128
    return isqrt(numerator * denominator << 2 * scale) / (denominator << scale)
