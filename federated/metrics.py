"""The eight metrics, from counts. What is undefined is None, never 0, 1 or NaN."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import cast

import numpy as np
from numpy.typing import NDArray

from federated.counts import ONE, Counts, Ints
from federated.schema import Record


@dataclass(frozen=True)
class Measure:
    """A metric's key, its name on a page, and which way is better."""

    name: str
    label: str
    higher_is_better: bool


METRICS = (
    Measure("auroc", "AUROC", True),
    Measure("auprc", "AUPRC", True),
    Measure("accuracy", "Accuracy", True),
    Measure("balanced_accuracy", "Balanced accuracy", True),
    Measure("f1", "F1", True),
    Measure("loss", "Loss", False),
    Measure("brier", "Brier score", False),
    Measure("ece", "Calibration error", False),
)


class Metrics(Record):
    """Metrics over some test rows; None where undefined (no rows, one class among them, …).

    loss: nats per row. brier: (p - y)² for two classes, Σ_c (p_c - [y = c])² for more.
    auroc, auprc: class 1 of two; of more, the mean over the classes that have one.
    f1: class 1 of two; of more, the mean over the classes present.
    """

    rows: int
    loss: float | None
    accuracy: float | None
    balanced_accuracy: float | None
    auroc: float | None
    auprc: float | None
    f1: float | None
    brier: float | None
    ece: float | None


class Worst(Record):
    """The hospital that a metric is worst for."""

    hospital: str
    value: float


class Summary(Record):
    """Metric → how hospitals differ; None where no hospital has the metric."""

    worst: dict[str, Worst | None]
    mean: dict[str, float | None]
    spread: dict[str, float | None]
    """Largest less smallest."""
    undefined: dict[str, int]
    """Number of hospitals without the metric."""


def metrics(counts: Counts) -> Metrics:
    """All metrics of the rows counted."""
    rows, table = counts.rows, counts.confusion
    hits, true = table.diagonal(), table.sum(axis=1)
    recall = hits[true > 0] / true[true > 0]
    return Metrics(
        rows=rows,
        loss=_ratio(counts.loss, rows * ONE),
        accuracy=_ratio(int(hits.sum()), rows),
        balanced_accuracy=float(recall.mean()) if len(recall) > 1 else None,
        auroc=_over_classes(_auroc, counts),
        auprc=_over_classes(_average_precision, counts),
        f1=_f1(counts),
        brier=_ratio(counts.brier, rows * ONE),
        ece=_ratio(_calibration_error(counts), rows * ONE),
    )


def auroc_resolution(counts: Counts) -> float | None:
    """How far `auroc` can be from that of the scores before binning: ½ Σ_b pos_b·neg_b / (P·N).

    Only pairs in one bin can be ordered otherwise; each counts ½ and truly 0 … 1.
    """
    return _over_classes(lambda neg, pos: _ratio(int(neg @ pos), 2 * _pairs(neg, pos)), counts)


def summary(per_hospital: Mapping[str, Metrics]) -> Summary:
    """Worst hospital, mean, spread and number undefined, per metric, over those that have it.

    Of hospitals equally bad, the first by name.
    """
    worst: dict[str, Worst | None] = {}
    mean: dict[str, float | None] = {}
    spread: dict[str, float | None] = {}
    undefined: dict[str, int] = {}
    for measure in METRICS:
        found = {h: getattr(per_hospital[h], measure.name) for h in sorted(per_hospital)}
        values = {h: cast(float, v) for h, v in found.items() if v is not None}
        undefined[measure.name] = len(found) - len(values)
        worst[measure.name] = mean[measure.name] = spread[measure.name] = None
        if values:
            choose = min if measure.higher_is_better else max
            name = choose(values, key=values.__getitem__)
            worst[measure.name] = Worst(hospital=name, value=values[name])
            mean[measure.name] = fmean(values.values())
            spread[measure.name] = max(values.values()) - min(values.values())
    return Summary(worst=worst, mean=mean, spread=spread, undefined=undefined)


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _pairs(neg: Ints, pos: Ints) -> int:
    return int(neg.sum()) * int(pos.sum())


def _over_classes(rule: Callable[[Ints, Ints], float | None], counts: Counts) -> float | None:
    """The mean of rule(neg [B], pos [B]) over the classes for which it is defined."""
    found = [rule(neg, pos) for neg, pos in counts.scores]
    values = [v for v in found if v is not None]
    return fmean(values) if values else None


def _auroc(neg: Ints, pos: Ints) -> float | None:
    """Mann–Whitney: pairs ordered rightly, ties ½, over all pairs."""
    below = 2 * np.cumsum(neg) - neg  # twice: the lower bins, and half of this one
    return _ratio(int(pos @ below), 2 * _pairs(neg, pos))


def _average_precision(neg: Ints, pos: Ints) -> float | None:
    """Σ (R_k - R_{k-1}) P_k over bins from the highest down, as scikit-learn has it."""
    if not _pairs(neg, pos):
        return None
    gained = pos[::-1]
    hits, taken = np.cumsum(gained), np.cumsum((pos + neg)[::-1])
    some = gained > 0
    precision: NDArray[np.float64] = hits[some] / taken[some]
    return float(gained[some] @ precision / pos.sum())


def _f1(counts: Counts) -> float | None:
    """2·TP / (true + predicted), of class 1 of two, else the mean over the classes present."""
    table = counts.confusion
    hits, true, predicted = table.diagonal(), table.sum(axis=1), table.sum(axis=0)
    wanted = np.arange(counts.classes) > 0 if counts.classes == 2 else true > 0
    present = wanted & (true > 0)
    if not present.any():
        return None
    return float((2 * hits[present] / (true + predicted)[present]).mean())


def _calibration_error(counts: Counts) -> int:
    """Σ_bins |hits - confidence|, fixed point: the expected calibration error times rows."""
    _, confidence, hits = counts.calibration
    return int(np.abs(hits * ONE - confidence).sum())
