"""Is a difference between two settings more than the luck of their seeds?

Both settings run with the same seeds, so the differences seed by seed are tested: Student's
paired t-test (Student 1908), from 6 seeds on also Wilcoxon's signed-rank test (Wilcoxon 1945),
which does not ask for normal differences. Differences that are all the same have no spread for
Student's test to judge by; their signs alone are tested (sign test, Arbuthnott 1710): 2^(1-n).
Many comparisons are corrected after Holm (1979, Scand. J. Statist. 6:65), which keeps the chance
of any false claim at α.

Seeds draw initial weights, batches and cohorts; the hospitals' rows stay. So the claim is about
training these hospitals again, not about other hospitals or patients.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Literal

from scipy import stats

LEAST_SEEDS = 3
LEAST_FOR_WILCOXON = 6
ALPHA = 0.05
_ROUNDING = 1e-12  # differences this small, relative to the values, are the rounding of floats

Verdict = Literal["other data", "too few seeds", "no difference", "within noise", "higher", "lower"]


@dataclass(frozen=True)
class Interval:
    """Mean of n values and its 95 % confidence interval; low, high: None for one value."""

    n: int
    mean: float
    low: float | None
    high: float | None

    @property
    def half(self) -> float | None:
        """Half its width: the number behind ±."""
        return None if self.high is None else self.high - self.mean


@dataclass(frozen=True)
class Paired:
    """Differences (ours less the reference's) over common seeds.

    difference: None without a common seed; no interval where all differences are the same, which
    says nothing of their spread. p: two-sided, of Student's test or the sign test; wilcoxon: of
    Wilcoxon's; None where there are fewer than 3 and 6 common seeds.
    """

    n: int
    difference: Interval | None
    p: float | None
    wilcoxon: float | None

    @property
    def same(self) -> bool:
        """Is there no difference with any seed?"""
        found = self.difference
        return found is not None and found.n > 1 and found.low is None and found.mean == 0


def interval(values: Sequence[float], confidence: float = 0.95) -> Interval:
    """x̄ ± t_{n-1} · s/√n. Raises ValueError without values."""
    n, mean = len(values), fmean(values)
    if n == 1:
        return Interval(1, mean, None, None)
    quantile = float(stats.t.ppf((1 + confidence) / 2, n - 1))
    half = quantile * stdev(values) / math.sqrt(n)
    return Interval(n, mean, mean - half, mean + half)


def paired(ours: Sequence[float], reference: Sequence[float]) -> Paired:
    """Compare values of the same seeds, in one order. Raises ValueError for unequal lengths."""
    differences = [a - b for a, b in zip(ours, reference, strict=True)]
    size = _ROUNDING * max((abs(v) for v in (*ours, *reference)), default=0.0)
    differences = [0.0 if abs(d) <= size else d for d in differences]
    n = len(differences)
    if n > 1 and max(differences) - min(differences) <= size:
        mean = fmean(differences)
        p = 1.0 if mean == 0 else 2.0 ** (1 - n)
        return Paired(
            n, Interval(n, mean, None, None), p if n >= LEAST_SEEDS else None, _ranked(differences)
        )
    return Paired(
        n=n,
        difference=interval(differences) if n else None,
        p=_t_test(differences) if n >= LEAST_SEEDS else None,
        wilcoxon=_ranked(differences),
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values, in their order: the k-th smallest of m times m - k + 1, never falling."""
    m = len(p_values)
    adjusted, running = [0.0] * m, 0.0
    for rank, i in enumerate(sorted(range(m), key=p_values.__getitem__)):
        running = max(running, min(1.0, (m - rank) * p_values[i]))
        adjusted[i] = running
    return adjusted


def verdict(found: Paired, adjusted: float | None, alpha: float = ALPHA) -> Verdict:
    """What can be said of a difference whose corrected p is `adjusted`."""
    if found.difference is None or adjusted is None:
        return "too few seeds"
    if found.same:
        return "no difference"
    if adjusted >= alpha:
        return "within noise"
    return "higher" if found.difference.mean > 0 else "lower"


def _t_test(differences: Sequence[float]) -> float:
    """Two-sided p of mean zero. Differences are not all the same."""
    n, mean, spread = len(differences), fmean(differences), stdev(differences)
    return float(2 * stats.t.sf(abs(mean) / (spread / math.sqrt(n)), n - 1))


def _ranked(differences: Sequence[float]) -> float | None:
    """Wilcoxon's two-sided p of symmetry about zero; zeros are left out (his own way)."""
    if len(differences) < LEAST_FOR_WILCOXON:
        return None
    nonzero = [d for d in differences if d]
    return float(stats.wilcoxon(nonzero).pvalue) if nonzero else 1.0
