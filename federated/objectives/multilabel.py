"""Several yes/no questions of a row at once: a cross-entropy for each, metrics macro and micro."""

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
from federated.counts import MOST_ROWS, Counts, agree, fixed, squared
from federated.curves import Curve, of_confidence, roc_points
from federated.histograms import ONE, Ints, calibrated, calibration_error
from federated.intervals import dependent, estimated_share, f1, mean_of_sums, unless_few
from federated.metrics import Measure, Metrics, Reading, metrics, ratio
from federated.objectives._rows import no_classes, reduced, require, require_some, wide
from federated.ranking import NOBODY, possible, ranked, standing, stands

READING = Reading(
    kind="multilabel",
    measures=(
        Measure("auroc", "AUROC, mean of labels", True, "AUROC"),
        Measure("auprc", "AUPRC, mean of labels", True, "AUPRC"),
        Measure("auroc_micro", "AUROC, labels together", True),
        Measure("auprc_micro", "AUPRC, labels together", True),
        Measure("f1", "F1, mean of labels", True, "F1"),
        Measure("subset_accuracy", "All labels right", True, "All right"),
        Measure("hamming_loss", "Labels wrong", False),
        Measure("loss", "Loss", False),
        Measure("brier", "Brier score", False),
        Measure("ece", "Calibration error", False),
    ),
    main=("auroc", "subset_accuracy", "hamming_loss"),
    loss="Loss (nats per label)",
    undefined="AUROC and AUPRC need a label that some test rows have and others lack, F1 one that "
    "some row has",
    undefined_short="no label that some test rows have and others lack",
    groups="Labels",
    counted="counts over its test rows (confusion and histograms of scores by label, how rows of "
    "one bin are ordered, rows with every label right, calibration bins) and the sums of wrong "
    "labels, loss and Brier score and of their squares",
    main_if_rare=("auroc", "auprc", "f1"),
)


@dataclass(frozen=True, eq=False)
class LabelCounts(Counts):
    """Counts over some rows, for L labels, B score bins and M calibration bins.

    loss, brier: fixed-point sums over rows and labels; loss2, brier2: of squares of each row's sum,
    in 1 / ONE². right: rows with every label right. wrong2: of squares of a row's wrong labels.
    confusion: [L, 4]: true negatives, false positives, false negatives, true positives.
    scores: [L, 2, B] and calibration: [3, M] as in `histograms`; a row counts once a label.
    order: [L + 1, 5], see `ranking.Standing`; the last is of all labels' rows together.
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
    right: int
    wrong2: int
    confusion: Ints
    scores: Ints
    order: Ints
    calibration: Ints

    def consistent(self) -> bool:
        """Do shapes and totals agree?"""
        labels = len(self.confusion)
        cells = self.rows * labels
        if self.confusion.shape != (labels, 4) or self.scores.shape[:2] != (labels, 2):
            return False
        if labels < 2 or self.order.shape != (labels + 1, len(NOBODY)):
            return False
        if cells > MOST_ROWS or max(self.confusion.max(), self.scores.max()) > self.rows:
            return False
        with_label = self.confusion[:, 2:].sum(axis=1)
        wrong = int(self.confusion[:, 1:3].sum())
        return bool(
            (self.confusion.sum(axis=1) == self.rows).all()
            and (self.scores.sum(axis=(1, 2)) == self.rows).all()
            and (self.scores[:, 1].sum(axis=1) == with_label).all()
            and calibrated(self.calibration, cells)
            and possible(_and_together(self.scores), self.order, self.rows)
            and agree(self.loss, self.loss2, self.rows)
            and agree(self.brier, self.brier2, self.rows)
            and self.brier <= cells * ONE
            and self.right <= self.rows
            and wrong**2 <= self.rows * self.wrong2 <= self.rows * labels * wrong
        )

    def metrics(self) -> Metrics:
        """loss: nats per row and label. brier: (p - y)², mean over rows and labels.

        auroc, auprc, f1: the mean over the labels that have one; …_micro: a row and label is a row.
        Their intervals, and that of ece, count each row once, not once a label.
        """
        labels = len(self.confusion)
        _, false, missed, true = (int(n) for n in self.confusion.sum(axis=0))
        present = [c for c in self.confusion if c[2] + c[3]]
        groups = ranked(self.scores, self.order[:labels])
        together = ranked(_and_together(self.scores)[labels:], self.order[labels:])
        cell, rarer = ONE * labels, min(missed + true, self.rows * labels - missed - true)
        return metrics(
            self.rows,
            {
                "loss": unless_few(mean_of_sums(self.loss, self.loss2, self.rows, cell), rarer),
                "subset_accuracy": estimated_share(self.right, self.rows),
                "hamming_loss": mean_of_sums(false + missed, self.wrong2, self.rows, labels),
                "auroc": rank_intervals.auroc(groups),
                "auprc": rank_intervals.auprc(groups),
                "auroc_micro": rank_intervals.auroc(together, labels),
                "auprc_micro": rank_intervals.auprc(together, labels),
                "f1": dependent([f1(int(c[3]), int(c[1] + c[2])) for c in present]),
                "brier": unless_few(mean_of_sums(self.brier, self.brier2, self.rows, cell), rarer),
                "ece": calibration_error(self.calibration, labels),
            },
            rank_intervals.bounds(groups) | rank_intervals.bounds(together, "_micro"),
            prevalence=ratio(missed + true, self.rows * labels),
        )

    def curve(self, threshold: float) -> Curve:
        """ROC, the mean of the labels' own, and calibration."""
        return Curve(roc=roc_points(self.scores), calibration=of_confidence(self.calibration))


@dataclass(frozen=True)
class Multilabel:
    """labels: their names, L of them. Targets: float64 [n, L], 0 or 1."""

    reading: ClassVar[Reading] = READING

    labels: tuple[str, ...]

    @property
    def outputs(self) -> int:
        """L log-odds."""
        return len(self.labels)

    @property
    def columns(self) -> tuple[str, ...]:
        """The labels."""
        return self.labels

    @property
    def positive(self) -> str | None:
        """None."""
        return None

    def loss(
        self,
        outputs: Tensor,
        targets: Tensor,
        weights: Tensor | None = None,
        reduction: str = "mean",
    ) -> Tensor:
        """Binary cross-entropy in nats; of a row, the mean over its labels."""
        require(outputs, targets, len(self.labels), (len(self.labels),))
        require_some(targets, reduction)
        cells = F.binary_cross_entropy_with_logits(
            outputs, targets.to(outputs.dtype), reduction="none"
        )
        return reduced(cells.mean(dim=1), weights, reduction)

    def examples(self, targets: Tensor) -> int:
        """All rows."""
        return len(targets)

    def row_weights(self, targets: Tensor) -> Tensor:
        """Raises ConfigError: a row has no one class."""
        raise no_classes("several labels at once")

    def count(
        self,
        outputs: Tensor,
        targets: Tensor,
        score_bins: int,
        calibration_bins: int,
        threshold: float = 0.5,
    ) -> LabelCounts:
        """Counts; a label is predicted where its probability is above the threshold.

        Raises ValueError for non-finite outputs, targets other than 0 and 1, or shapes that do
        not fit.
        """
        require(outputs, targets, len(self.labels), (len(self.labels),))
        logits, truth = wide(outputs), targets.detach().to("cpu", torch.float64)
        if not bool(((truth == 0) | (truth == 1)).all()):
            raise ValueError("a label is neither 0 nor 1")
        odds, true = logits.numpy(), truth.numpy() > 0
        chance, said = torch.sigmoid(logits).numpy(), odds > logit(threshold)
        losses = F.binary_cross_entropy_with_logits(logits, truth, reduction="none").sum(1)
        squares = np.square(chance - true).sum(axis=1)
        kinds, index = 2 * true + said, histograms.bins_of(odds, score_bins)
        together = standing(odds.ravel(), true.ravel(), index.ravel())
        return LabelCounts(
            rows=len(true),
            loss=fixed(float(losses.sum()), "loss"),
            loss2=squared(losses.numpy(), "loss"),
            brier=fixed(float(squares.sum()), "Brier score"),
            brier2=squared(squares, "Brier score"),
            right=int((true == said).all(axis=1).sum()),
            wrong2=int(np.square((true != said).sum(axis=1)).sum()),
            confusion=np.stack([(kinds == kind).sum(axis=0) for kind in range(4)], axis=1),
            scores=histograms.score_bins(index, true, score_bins),
            order=np.vstack([stands(odds, true, index), together]),
            calibration=histograms.calibration_bins(chance.ravel(), true.ravel(), calibration_bins),
        )

    def predictions(self, outputs: Tensor) -> Tensor:
        """P(label) of every row, [n, L]."""
        return torch.sigmoid(outputs)

    def encode(self, columns: NDArray[Any]) -> NDArray[Any]:
        """float64 [n, L] as it is."""
        return columns

    def strata(self, targets: NDArray[Any]) -> NDArray[Any]:
        """None: most rows would have a combination of labels of their own."""
        return np.zeros(len(targets), dtype=np.int64)

    def tally(self, targets: NDArray[Any]) -> dict[str, int]:
        """label → rows that have it."""
        sums = targets.sum(axis=0)
        return {name: int(count) for name, count in zip(self.labels, sums, strict=True)}


def _and_together(scores: Ints) -> Ints:
    """Every label's histograms, and last those of all labels' rows: [L + 1, 2, B]."""
    return np.concatenate([scores, scores.sum(axis=0, keepdims=True)])
