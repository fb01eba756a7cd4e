"""What is predicted: the loss that training descends and evaluation counts."""

from dataclasses import dataclass

import torch
from torch import Tensor

from federated.counts import Counts, count
from federated.loss import loss


@dataclass(frozen=True)
class Classification:
    """One label of `classes` classes."""

    classes: int

    def loss(
        self,
        outputs: Tensor,
        targets: Tensor,
        weights: Tensor | None = None,
        reduction: str = "mean",
    ) -> Tensor:
        """Mean negative log-likelihood, weighted by row where weights are given."""
        if weights is None:
            return loss(outputs, targets, reduction)
        return (weights * loss(outputs, targets, "none")).sum() / weights.sum()

    def row_weights(self, targets: Tensor) -> Tensor:
        """n / (C·n_c) for a row of class c, C the classes present."""
        counts = torch.bincount(targets, minlength=self.classes)
        return (len(targets) / (int((counts > 0).sum()) * counts[targets])).float()

    def count(self, outputs: Tensor, targets: Tensor, score_bins: int, bins: int) -> Counts:
        """Mergeable counts."""
        return count(outputs, targets, self.classes, score_bins, bins)
