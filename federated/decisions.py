"""What comes of saying yes above a threshold: rates at one, and net benefit over many."""

from typing import Literal

import numpy as np
from scipy.special import expit, logit

from federated.histograms import Ints, limits
from federated.intervals import Estimate, estimated_share
from federated.schema import Record

_REACH, _POINTS = 3.0, 25
_DIGITS = 6


class Operating(Record):
    """Rates where yes is said above `threshold`: the chosen one, or Youden's."""

    name: Literal["chosen", "youden"]
    threshold: float
    sensitivity: Estimate
    specificity: Estimate
    ppv: Estimate
    npv: Estimate


class Benefit(Record):
    """Net benefit of acting where P is above the threshold, and of acting on all (on none: 0)."""

    threshold: float
    model: float
    all: float


def chosen(confusion: Ints, threshold: float) -> Operating:
    """At the threshold that [2, 2] was counted at: row true, column said."""
    (tn, fp), (fn, tp) = ((int(n) for n in row) for row in confusion)
    return _operating("chosen", threshold, tn, fp, fn, tp)


def youden(neg: Ints, pos: Ints) -> Operating | None:
    """Where sensitivity + specificity is largest: Youden 1950, *Index for rating diagnostic tests*.

    Of the bins' limits, and of equal ones the lowest. Chosen on the rows that it is judged by, so
    it flatters. None unless there are rows of both kinds.
    """
    if not neg.any() or not pos.any():
        return None
    fn, tn = np.cumsum(pos)[:-1], np.cumsum(neg)[:-1]
    best = int(np.argmax(tn / neg.sum() - fn / pos.sum()))
    below, above = int(tn[best]), int(fn[best])
    threshold = float(expit(limits(len(neg))[best + 1]))
    return _operating(
        "youden", threshold, below, int(neg.sum()) - below, above, int(pos.sum()) - above
    )


def decision_curve(neg: Ints, pos: Ints) -> tuple[Benefit, ...]:
    """TP/n - FP/n · t/(1-t), t the bins' limits nearest to even steps of log-odds about the share
    of events: Vickers, Elkin 2006 (doi 10.1177/0272989X06295361). Empty unless there are both."""
    n, events = int(neg.sum() + pos.sum()), int(pos.sum())
    if not 0 < events < n:
        return ()
    edges = limits(len(neg))
    wanted = logit(events / n) + np.linspace(-_REACH, _REACH, _POINTS)
    at = np.unique(np.clip(np.searchsorted(edges, wanted), 1, len(neg) - 1))
    hits, false = (float(one.sum()) - np.cumsum(one)[at - 1] for one in (pos, neg))
    price = np.exp(edges[at])
    model, every = (hits - false * price) / n, (events - (n - events) * price) / n
    points = zip(expit(edges[at]), model, every, strict=True)
    return tuple(
        Benefit(threshold=float(t), model=round(float(m), _DIGITS), all=round(float(a), _DIGITS))
        for t, m, a in points
    )


def _operating(
    name: Literal["chosen", "youden"], threshold: float, tn: int, fp: int, fn: int, tp: int
) -> Operating:
    return Operating(
        name=name,
        threshold=threshold,
        sensitivity=estimated_share(tp, tp + fn),
        specificity=estimated_share(tn, tn + fp),
        ppv=estimated_share(tp, tp + fp),
        npv=estimated_share(tn, tn + fn),
    )
