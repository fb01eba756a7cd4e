"""Several yes/no questions of a row at once: a cross-entropy for each, metrics macro and micro."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from federated import histograms
from federated.counts import Counts, fixed
from federated.curves import Curve, calibration_points, roc_points
from federated.histograms import ONE, Ints
from federated.metrics import Measure, Metrics, Reading, ratio
from federated.objectives._rows import no_classes, reduced, require, require_some, wide

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
    counted="counts over its test rows (confusion and histograms of scores by label, rows with "
    "every label right, calibration bins) and the sums of loss and Brier score",
)


@dataclass(frozen=True, eq=False)
class LabelCounts(Counts):
    """Counts over some rows, for L labels, B score bins and M calibration bins.

    loss, brier: fixed-point sums over rows and labels. right: rows with every label right.
    confusion: [L, 4]: true negatives, false positives, false negatives, true positives.
    scores: [L, 2, B] and calibration: [3, M] as in `histograms`; a row counts once a label.
    """

    reading: ClassVar[Reading] = READING
    arrays: ClassVar[Mapping[str, int]] = {"confusion": 2, "scores": 3, "calibration": 2}

    loss: int
    brier: int
    right: int
    confusion: Ints
    scores: Ints
    calibration: Ints

    def consistent(self) -> bool:
        """Do shapes and totals agree?"""
        labels = len(self.confusion)
        if self.confusion.shape != (labels, 4) or self.scores.shape[:2] != (labels, 2):
            return False
        if labels < 2 or len(self.calibration) != 3:
            return False
        rows, _, hits = self.calibration
        with_label = self.confusion[:, 2:].sum(axis=1)
        return bool(
            (self.confusion.sum(axis=1) == self.rows).all()
            and (self.scores.sum(axis=(1, 2)) == self.rows).all()
            and (self.scores[:, 1].sum(axis=1) == with_label).all()
            and rows.sum() == self.rows * labels
            and (hits <= rows).all()
            and self.right <= self.rows
        )

    def metrics(self) -> Metrics:
        """loss: nats per row and label. brier: (p - y)², mean over rows and labels.

        auroc, auprc, f1: the mean over the labels that have one; …_micro: a row and label is a row.
        """
        cells = self.rows * len(self.confusion)
        _, false, missed, true = self.confusion.T
        together = self.scores.sum(axis=0, keepdims=True)
        some = true + missed > 0
        f1 = 2 * true[some] / (2 * true + false + missed)[some]
        return Metrics(
            rows=self.rows,
            loss=ratio(self.loss, cells * ONE),
            subset_accuracy=ratio(self.right, self.rows),
            hamming_loss=ratio(int(false.sum() + missed.sum()), cells),
            auroc=histograms.over_groups(histograms.auroc, self.scores),
            auprc=histograms.over_groups(histograms.average_precision, self.scores),
            auroc_micro=histograms.over_groups(histograms.auroc, together),
            auprc_micro=histograms.over_groups(histograms.average_precision, together),
            f1=float(f1.mean()) if some.any() else None,
            brier=ratio(self.brier, cells * ONE),
            ece=histograms.calibration_error(self.calibration),
        )

    def curve(self) -> Curve:
        """ROC, the mean of the labels' own, and calibration."""
        return Curve(roc=roc_points(self.scores), calibration=calibration_points(self.calibration))


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
        self, outputs: Tensor, targets: Tensor, score_bins: int, calibration_bins: int
    ) -> LabelCounts:
        """Counts; a label is predicted where its log-odds are above 0.

        Raises ValueError for non-finite outputs, targets other than 0 and 1, or shapes that do
        not fit.
        """
        require(outputs, targets, len(self.labels), (len(self.labels),))
        logits, truth = wide(outputs), targets.detach().to("cpu", torch.float64)
        if not bool(((truth == 0) | (truth == 1)).all()):
            raise ValueError("a label is neither 0 nor 1")
        chance, true, said = torch.sigmoid(logits).numpy(), truth.numpy() > 0, logits.numpy() > 0
        cells = F.binary_cross_entropy_with_logits(logits, truth, reduction="sum")
        kinds = 2 * true + said
        return LabelCounts(
            rows=len(true),
            loss=fixed(float(cells), "loss"),
            brier=fixed(float(np.square(chance - true).sum()), "Brier score"),
            right=int((true == said).all(axis=1).sum()),
            confusion=np.stack([(kinds == kind).sum(axis=0) for kind in range(4)], axis=1),
            scores=histograms.score_bins(chance, true, score_bins),
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
