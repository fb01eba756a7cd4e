"""Do rows of a class score above the others? AUROC and AUPRC, and how exact they are.

Histograms cannot tell two rows of one bin apart. Their own hospital can, and counts how those
pairs stand (`standing`): so one hospital's figures are exact, and of several hospitals' only the
pairs across hospitals in one bin are open. How far off that can be is worked out beside it.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma

from federated.histograms import ONE, Floats, Ints

Marks = NDArray[np.bool_]


class Standing(NamedTuple):
    """What a hospital counts of a class beside its histogram; adds up.

    level: pairs (a row of the class, one of the others) in one bin. right: twice those of them
    ordered rightly, ties once. equal: those with equal scores. precision: fixed-point average
    precision times rows of the class. parts: 1, so that it is known how many were added.
    """

    level: int = 0
    right: int = 0
    equal: int = 0
    precision: int = 0
    parts: int = 0


NOBODY = Standing()


def standing(scores: Floats, is_class: Marks, index: Ints) -> Standing:
    """Of a hospital's rows: [n] log-odds, whether of the class, and bins."""
    if not len(scores):
        return NOBODY
    exact = _ranks(np.unique(scores, return_inverse=True)[1], is_class)
    binned = _ranks(index, is_class)
    right = exact.doubled - binned.doubled + binned.level
    precision = round(exact.tied_precision() * exact.positives * ONE) if exact.pairs else 0
    return Standing(binned.level, right, exact.level, precision, 1)


def stands(scores: Floats, is_class: Marks, index: Ints) -> Ints:
    """[K', 5] of each column of [n, K']."""
    columns = zip(scores.T, is_class.T, index.T, strict=True)
    return np.array([standing(*column) for column in columns], dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Ranks:
    """One class's histograms [B] of the others (neg) and of its own rows (pos), lowest bin first,
    and how rows of one bin stand."""

    neg: Ints
    pos: Ints
    own: Standing = NOBODY

    @property
    def positives(self) -> int:
        """Rows of the class."""
        return int(self.pos.sum())

    @property
    def pairs(self) -> int:
        """Of a row of the class and one of the others."""
        return self.positives * int(self.neg.sum())

    @property
    def level(self) -> int:
        """Pairs in one bin, of whatever hospitals."""
        return int(self.neg @ self.pos)

    @property
    def doubled(self) -> int:
        """Twice the pairs ordered rightly (Mann-Whitney), those in one bin counted once."""
        return int(self.pos @ (2 * np.cumsum(self.neg) - self.neg))

    def auroc(self) -> float:
        """Pairs ordered rightly, ties ½, over all pairs."""
        return (self.doubled + self.own.right - self.own.level) / (2 * self.pairs)

    def auroc_bound(self) -> float:
        """½ of the pairs that nobody has ordered over all pairs: how far `auroc` can be off.

        Such a pair counts ½ and truly 0 … 1.
        """
        return (self.level - self.own.level) / (2 * self.pairs)

    def auprc(self) -> float:
        """Average precision Σ (R_k - R_{k-1}) P_k, as scikit-learn has it.

        Of several hospitals: the mean over all orders of a bin's rows, but for the part of them
        that score alike, which enter together; how large that is, hospitals' own pairs tell.
        """
        if self.own.parts == 1:
            return self.own.precision / (self.positives * ONE)
        tied = self.own.equal / self.own.level if self.own.level else 0.0
        return tied * self.tied_precision() + (1 - tied) * self._shuffled_precision()

    def auprc_bound(self) -> float:
        """How far `auprc` can be off: to the class first, or last, in every bin."""
        if self.own.parts == 1:
            return 0.0
        found = self.auprc()
        worst, best = self.auprc_range()
        return max(best - found, found - worst, 0.0)

    def auprc_range(self) -> tuple[float, float]:
        """Average precision with the class last in every bin, and with it first, scoring alike."""
        _, neg, pos, hits, rows = self._down()
        best = pos * (hits + pos) / (rows + pos)
        worst = pos + (hits - rows - neg) * _harmonic(rows + neg, pos)
        return float(worst.sum() / self.positives), float(best.sum() / self.positives)

    def tied_precision(self) -> float:
        """Average precision where the rows of a bin score alike."""
        inside, _, pos, hits, rows = self._down()
        return float(pos @ ((hits + pos) / (rows + inside)) / self.positives)

    def _shuffled_precision(self) -> float:
        """The mean of average precision over all orders of each bin's rows.

        Row r of a bin is of the class with chance p/m, with hits + (r-1)(p-1)/(m-1) of it above:
        the sum over r of (that + 1) / (rows + r), in closed form.
        """
        inside, _, pos, hits, rows = self._down()
        step = (pos - 1) / np.maximum(inside - 1, 1)
        terms = step * inside + (hits + 1 - step - step * rows) * _harmonic(rows, inside)
        return float((pos / inside) @ terms / self.positives)

    def _down(self) -> tuple[Floats, Floats, Floats, Floats, Floats]:
        """Of the bins with rows of the class, from the highest: rows inside (all, others, of the
        class) and above (of the class, all)."""
        neg, pos = self.neg[::-1].astype(float), self.pos[::-1].astype(float)
        inside = neg + pos
        hits, rows = np.cumsum(pos) - pos, np.cumsum(inside) - inside
        some = pos > 0
        return inside[some], neg[some], pos[some], hits[some], rows[some]


def ranked(scores: Ints, own: Ints) -> list[Ranks]:
    """Of the groups with rows of both kinds: [K', 2, B] and [K', 5], without empty bins."""
    both = np.flatnonzero(scores.sum(axis=2).all(axis=1))
    filled = scores[both][:, :, scores.any(axis=(0, 1))]
    each = zip(filled, own[both], strict=True)
    return [Ranks(neg, pos, Standing(*(int(n) for n in one))) for (neg, pos), one in each]


def possible(scores: Ints, own: Ints, rows: int) -> bool:
    """Can hospitals with these histograms stand so? Shapes are not looked at."""
    for (neg, pos), values in zip(scores, own, strict=True):
        found, group = Standing(*(int(n) for n in values)), Ranks(neg, pos)
        fits = (
            found.parts <= rows
            and (found.parts > 0 or not rows)
            and found.level <= group.level
            and found.equal <= found.right <= 2 * found.level - found.equal
            and found.precision <= group.positives * ONE
        )
        if not fits or (found.parts == 1 and not _exact(group, found)):
            return False
    return True


def _exact(group: Ranks, own: Standing) -> bool:
    """Can one hospital alone stand so?"""
    if own.level != group.level:
        return False
    if not group.pairs:
        return own.precision == 0
    worst, best = (end * group.positives * ONE for end in group.auprc_range())
    slack = 1 + 1e-9 * best
    return worst - slack <= own.precision <= best + slack


def _ranks(index: Ints, is_class: Marks) -> Ranks:
    """Of rows in these bins."""
    bins = int(index.max()) + 1
    neg, pos = index[~is_class], index[is_class]
    return Ranks(np.bincount(neg, minlength=bins), np.bincount(pos, minlength=bins))


def _harmonic(after: Floats, count: Floats) -> Floats:
    """Σ_{r = 1 … count} 1 / (after + r)."""
    found: Floats = digamma(after + count + 1) - digamma(after + 1)
    return found
