"""One label of two or more classes: cross-entropy, and the metrics of ranking and calibration."""

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
from federated.objectives._rows import reduced, require, require_some, wide

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
    counted="counts over its test rows (confusion, histograms of scores by class, calibration "
    "bins) and the sums of loss and Brier score",
)


@dataclass(frozen=True, eq=False)
class ClassCounts(Counts):
    """Counts over some rows, for C classes, B score bins and M calibration bins.

    loss, brier: fixed-point sums over the rows.
    confusion: [C, C], row true class, column predicted class.
    scores: [K', 2, B], rows by P(class), [:, 1] those of the class and [:, 0] the others. Two
        classes: K' = 1, class 1; more: K' = C, one against the rest. Bin b is [b/B, (b+1)/B).
    calibration: [3, M]: rows, fixed-point sum of confidence, and hits per bin of confidence. Two
        classes: P(class 1), hit if class 1; more: the top class's P, hit if right (Guo et al.
        2017, arXiv:1706.04599).
    """

    reading: ClassVar[Reading] = READING
    arrays: ClassVar[Mapping[str, int]] = {"confusion": 2, "scores": 3, "calibration": 2}

    loss: int
    brier: int
    confusion: Ints
    scores: Ints
    calibration: Ints

    def consistent(self) -> bool:
        """Do shapes and totals agree?"""
        classes = len(self.confusion)
        groups = 1 if classes == 2 else classes
        if classes < 2 or self.confusion.shape != (classes, classes):
            return False
        if self.scores.shape[:2] != (groups, 2) or len(self.calibration) != 3:
            return False
        rows, _, hits = self.calibration
        of_class = self.confusion.sum(axis=1)[-groups:]
        return bool(
            self.confusion.sum() == rows.sum() == self.rows
            and (self.scores.sum(axis=(1, 2)) == self.rows).all()
            and (self.scores[:, 1].sum(axis=1) == of_class).all()
            and (hits <= rows).all()
        )

    def metrics(self) -> Metrics:
        """loss: nats per row. brier: (p - y)² for two classes, Σ_c (p_c - [y = c])² for more.

        auroc, auprc: class 1 of two; of more, the mean over the classes that have one.
        f1: class 1 of two; of more, the mean over the classes present.
        """
        hits, true = self.confusion.diagonal(), self.confusion.sum(axis=1)
        recall = hits[true > 0] / true[true > 0]
        return Metrics(
            rows=self.rows,
            loss=ratio(self.loss, self.rows * ONE),
            accuracy=ratio(int(hits.sum()), self.rows),
            balanced_accuracy=float(recall.mean()) if len(recall) > 1 else None,
            auroc=histograms.over_groups(histograms.auroc, self.scores),
            auprc=histograms.over_groups(histograms.average_precision, self.scores),
            f1=self._f1(),
            brier=ratio(self.brier, self.rows * ONE),
            ece=histograms.calibration_error(self.calibration),
        )

    def curve(self) -> Curve:
        """ROC and calibration."""
        return Curve(roc=roc_points(self.scores), calibration=calibration_points(self.calibration))

    def _f1(self) -> float | None:
        """2·TP / (true + predicted), of class 1 of two, else the mean over the classes present."""
        table = self.confusion
        hits, true, predicted = table.diagonal(), table.sum(axis=1), table.sum(axis=0)
        wanted = np.arange(len(table)) > 0 if len(table) == 2 else true > 0
        present = wanted & (true > 0)
        if not present.any():
            return None
        return float((2 * hits[present] / (true + predicted)[present]).mean())


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
        self, outputs: Tensor, targets: Tensor, score_bins: int, calibration_bins: int
    ) -> ClassCounts:
        """Counts; class 1 of two is predicted where its logit is above 0.

        Raises ValueError for non-finite logits, a class out of range, or shapes that do not fit.
        """
        classes = len(self.classes)
        require(outputs, targets, self.outputs, ())
        logits, truth = wide(outputs), targets.detach().cpu()
        if len(targets) and not 0 <= int(targets.min()) <= int(targets.max()) < classes:
            raise ValueError(f"a target is not a class index in 0 … {classes - 1}")
        chance, true = self.predictions(logits).numpy(), truth.numpy()
        top = chance.argmax(axis=1) if classes > 2 else (logits.numpy()[:, 0] > 0).astype(np.int64)
        pairs = np.bincount(true * classes + top, minlength=classes**2)
        is_class = true[:, None] == np.arange(classes)
        if classes == 2:
            chance, is_class = chance[:, 1:], is_class[:, 1:]
            confidence, hit = chance[:, 0], is_class[:, 0]
        else:
            confidence, hit = chance.max(axis=1), top == true
        return ClassCounts(
            rows=len(true),
            loss=fixed(float(self.loss(logits, truth, reduction="sum")), "loss"),
            brier=fixed(float(np.square(chance - is_class).sum()), "Brier score"),
            confusion=pairs.reshape(classes, classes),
            scores=histograms.score_bins(chance, is_class, score_bins),
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
