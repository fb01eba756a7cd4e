"""One label of two or more classes: cross-entropy, and the metrics of ranking and calibration."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy.special import logit
from torch import Tensor

from federated import histograms, rank_intervals
from federated.counts import Counts, agree, fixed, squared
from federated.curves import Curve, of_confidence, of_scores, roc_points
from federated.decisions import chosen, decision_curve, youden
from federated.histograms import ONE, Ints, calibrated, calibration_error
from federated.intervals import (
    NONE,
    Estimate,
    dependent,
    estimated_share,
    f1,
    mean_of_sums,
    separate,
    unless_few,
)
from federated.metrics import Measure, Metrics, Reading, metrics, ratio
from federated.objectives._rows import reduced, require, require_some, wide
from federated.ranking import NOBODY, possible, ranked, stands
from federated.recalibration import recalibration

READING = Reading(
    kind="classification",
    measures=(
        Measure("auroc", "AUROC", True),
        Measure("auprc", "AUPRC", True),
        Measure("accuracy", "Accuracy", True, "Acc."),
        Measure("balanced_accuracy", "Balanced accuracy", True),
        Measure("f1", "F1", True),
        Measure("loss", "Loss", False),
        Measure("brier", "Brier score", False),
        Measure("ece", "Calibration error", False),
    ),
    main=("auroc", "accuracy", "balanced_accuracy"),
    loss="Loss (nats per row)",
    undefined="AUROC, AUPRC and balanced accuracy need two classes among the test rows, F1 a "
    "positive one",
    undefined_short="one class among the test rows",
    groups="Classes",
    counted="counts over its test rows (confusion, histograms of scores by class, how rows of one "
    "bin are ordered, calibration bins) and the sums of loss and Brier score and of their squares",
    main_if_rare=("auroc", "auprc", "balanced_accuracy"),
)


@dataclass(frozen=True, eq=False)
class ClassCounts(Counts):
    """Counts over some rows, for C classes, B score bins and M calibration bins.

    loss, brier: fixed-point sums over the rows; loss2, brier2: of squares, in 1 / ONE².
    confusion: [C, C], row true class, column predicted class.
    scores: [K', 2, B], rows by log-odds of the class (`histograms`), [:, 1] those of the class and
        [:, 0] the others. Two classes: K' = 1, class 1; more: K' = C, one against the rest.
    order: [K', 5], see `ranking.Standing`.
    calibration: [3, M]: rows, fixed-point sum of confidence, and hits per bin of confidence. Two
        classes: P(class 1), hit if class 1; more: the top class's P, hit if right (Guo et al.
        2017, arXiv:1706.04599).
    """

    reading: ClassVar[Reading] = READING
    arrays: ClassVar[Mapping[str, int]] = {
        "confusion": 2,
        "scores": 3,
        "order": 2,
        "calibration": 2,
    }

    loss: int
    loss2: int
    brier: int
    brier2: int
    confusion: Ints
    scores: Ints
    order: Ints
    calibration: Ints

    def consistent(self) -> bool:
        """Do shapes and totals agree?"""
        classes = len(self.confusion)
        groups = 1 if classes == 2 else classes
        if classes < 2 or self.confusion.shape != (classes, classes):
            return False
        if self.scores.shape[:2] != (groups, 2) or self.order.shape != (groups, len(NOBODY)):
            return False
        if max(self.confusion.max(), self.scores.max()) > self.rows:
            return False
        of_class = self.confusion.sum(axis=1)[-groups:]
        return bool(
            calibrated(self.calibration, self.rows)
            and self.confusion.sum() == self.rows
            and (self.scores.sum(axis=(1, 2)) == self.rows).all()
            and (self.scores[:, 1].sum(axis=1) == of_class).all()
            and possible(self.scores, self.order, self.rows)
            and agree(self.loss, self.loss2, self.rows)
            and agree(self.brier, self.brier2, self.rows)
            and self.brier <= 2 * self.rows * ONE
        )

    def metrics(self) -> Metrics:
        """loss: nats per row. brier: (p - y)² for two classes, Σ_c (p_c - [y = c])² for more.

        auroc, auprc: class 1 of two; of more, the mean over the classes that have one.
        f1: class 1 of two; of more, the mean over the classes present.
        """
        hits, true = self.confusion.diagonal(), self.confusion.sum(axis=1)
        recalls = [estimated_share(int(h), int(t)) for h, t in zip(hits, true, strict=True) if t]
        groups = ranked(self.scores, self.order)
        rarer = int(true.min()) if len(true) == 2 else self.rows
        return metrics(
            self.rows,
            {
                "loss": unless_few(mean_of_sums(self.loss, self.loss2, self.rows, ONE), rarer),
                "accuracy": estimated_share(int(hits.sum()), self.rows),
                "balanced_accuracy": separate(recalls) if len(recalls) > 1 else NONE,
                "auroc": rank_intervals.auroc(groups),
                "auprc": rank_intervals.auprc(groups),
                "f1": self._f1(),
                "brier": unless_few(mean_of_sums(self.brier, self.brier2, self.rows, ONE), rarer),
                "ece": calibration_error(self.calibration),
            },
            rank_intervals.bounds(groups),
            prevalence=ratio(int(true[1]), self.rows) if len(true) == 2 else None,
        )

    def curve(self, threshold: float) -> Curve:
        """ROC and calibration; of two classes also what comes of thresholds."""
        roc = roc_points(self.scores)
        if len(self.confusion) > 2:
            return Curve(roc=roc, calibration=of_confidence(self.calibration))
        neg, pos = self.scores[0]
        best = youden(neg, pos)
        at = chosen(self.confusion, threshold)
        return Curve(
            roc=roc,
            calibration=of_scores(neg, pos),
            recalibration=recalibration(neg, pos, self.calibration),
            operating=() if not self.rows else (at,) if best is None else (at, best),
            decision=decision_curve(neg, pos),
        )

    def _f1(self) -> Estimate:
        """2·TP / (true + predicted), of class 1 of two, else the mean over the classes present."""
        table = self.confusion
        hits, true, predicted = table.diagonal(), table.sum(axis=1), table.sum(axis=0)
        wanted = [c for c in range(len(table)) if true[c] and (c or len(table) > 2)]
        return dependent([f1(int(hits[c]), int((true + predicted - 2 * hits)[c])) for c in wanted])


@dataclass(frozen=True)
class Classification:
    """classes: names, by index. Targets: int64 [n], class index."""

    reading: ClassVar[Reading] = READING

    classes: tuple[str, ...]

    @property
    def outputs(self) -> int:
        """K logits: one, the log-odds of class 1, for a yes/no question, else one a class."""
        return 1 if len(self.classes) == 2 else len(self.classes)

    @property
    def columns(self) -> tuple[str, ...]:
        """The classes."""
        return self.classes

    @property
    def positive(self) -> str | None:
        """Class 1 of two."""
        return self.classes[1] if len(self.classes) == 2 else None

    def loss(
        self,
        outputs: Tensor,
        targets: Tensor,
        weights: Tensor | None = None,
        reduction: str = "mean",
    ) -> Tensor:
        """Negative log-likelihood in nats: binary cross-entropy for K = 1, else softmax's."""
        require(outputs, targets, self.outputs, ())
        require_some(targets, reduction)
        own = reduction if weights is None else "none"
        if self.outputs > 1:
            found = F.cross_entropy(outputs, targets, reduction=own)
        else:
            truth = targets.to(outputs.dtype)
            found = F.binary_cross_entropy_with_logits(outputs.squeeze(1), truth, reduction=own)
        return found if weights is None else reduced(found, weights, reduction)

    def examples(self, targets: Tensor) -> int:
        """All rows."""
        return len(targets)

    def row_weights(self, targets: Tensor) -> Tensor:
        """n / (C·n_c) for a row of class c, C the classes present: each weighs alike, mean 1."""
        counts = torch.bincount(targets, minlength=len(self.classes))
        present = int((counts > 0).sum())
        return (len(targets) / (present * counts[targets])).float()

    def count(
        self,
        outputs: Tensor,
        targets: Tensor,
        score_bins: int,
        calibration_bins: int,
        threshold: float = 0.5,
    ) -> ClassCounts:
        """Counts; class 1 of two is predicted where its probability is above the threshold.

        Raises ValueError for non-finite logits, a class out of range, or shapes that do not fit.
        """
        classes = len(self.classes)
        require(outputs, targets, self.outputs, ())
        logits, truth = wide(outputs), targets.detach().cpu()
        if len(targets) and not 0 <= int(targets.min()) <= int(targets.max()) < classes:
            raise ValueError(f"a target is not a class index in 0 … {classes - 1}")
        chance, true = self.predictions(logits).numpy(), truth.numpy()
        odds, is_class = _log_odds(logits), true[:, None] == np.arange(classes)
        if classes == 2:
            chance, is_class = chance[:, 1:], is_class[:, 1:]
            top = (odds[:, 0] > logit(threshold)).astype(np.int64)
            confidence, hit = chance[:, 0], is_class[:, 0]
        else:
            top = chance.argmax(axis=1)
            confidence, hit = chance.max(axis=1), top == true
        pairs = np.bincount(true * classes + top, minlength=classes**2)
        losses = self.loss(logits, truth, reduction="none")
        squares = np.square(chance - is_class).sum(axis=1)
        index = histograms.bins_of(odds, score_bins)
        return ClassCounts(
            rows=len(true),
            loss=fixed(float(losses.sum()), "loss"),
            loss2=squared(losses.numpy(), "loss"),
            brier=fixed(float(squares.sum()), "Brier score"),
            brier2=squared(squares, "Brier score"),
            confusion=pairs.reshape(classes, classes),
            scores=histograms.score_bins(index, is_class, score_bins),
            order=stands(odds, is_class, index),
            calibration=histograms.calibration_bins(confidence, hit, calibration_bins),
        )

    def predictions(self, outputs: Tensor) -> Tensor:
        """P(class) of every row: [n, C], rows sum to 1; K = 1 gives [1 - p, p]."""
        if self.outputs > 1:
            return torch.softmax(outputs, dim=1)
        return torch.sigmoid(torch.cat([-outputs, outputs], dim=1))

    def encode(self, columns: NDArray[Any]) -> NDArray[Any]:
        """Class index int64 [n], -1 for none."""
        index: NDArray[Any] = np.nan_to_num(columns[:, 0], nan=-1).astype(np.int64)
        return index

    def strata(self, targets: NDArray[Any]) -> NDArray[Any]:
        """The class."""
        return targets

    def tally(self, targets: NDArray[Any]) -> dict[str, int]:
        """class → rows of it, in the schema's order."""
        counts = np.bincount(targets, minlength=len(self.classes))
        return {name: int(count) for name, count in zip(self.classes, counts, strict=True)}


def _log_odds(logits: Tensor) -> NDArray[np.float64]:
    """log P(class) / (1 - P(class)) [n, K'], exact where P is all but 0 or 1."""
    classes = range(logits.shape[1])
    if len(classes) == 1:
        return logits.numpy()
    others = [logits[:, [o for o in classes if o != c]] for c in classes]
    rest = torch.stack([torch.logsumexp(one, dim=1) for one in others], dim=1)
    return (logits - rest).numpy()
