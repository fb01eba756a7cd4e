"""The loss that training descends and evaluation reports, and the probabilities behind it."""

import torch
import torch.nn.functional as F
from torch import Tensor


def loss(logits: Tensor, targets: Tensor, reduction: str = "mean") -> Tensor:
    """Negative log-likelihood in nats: a scalar (`mean` over rows, or `sum`), or `none`: [n].

    logits: float [n, K]. K = 1: the log-odds of class 1, binary cross-entropy; K > 1: softmax
    cross-entropy. targets: int64 [n], class index.
    Raises ValueError for shapes that do not fit, and for the mean of no rows.
    """
    if logits.ndim != 2 or targets.shape != logits.shape[:1] or logits.shape[1] == 0:
        raise ValueError(f"logits {tuple(logits.shape)} do not fit targets {tuple(targets.shape)}")
    if reduction == "mean" and len(targets) == 0:
        raise ValueError("the mean loss of no rows is undefined")
    if logits.shape[1] > 1:
        return F.cross_entropy(logits, targets, reduction=reduction)
    return F.binary_cross_entropy_with_logits(
        logits.squeeze(1), targets.to(logits.dtype), reduction=reduction
    )


def probabilities(logits: Tensor) -> Tensor:
    """P(class) of every row: [n, K] logits → [n, C], rows sum to 1; K = 1 gives [1 - p, p]."""
    if logits.shape[1] > 1:
        return torch.softmax(logits, dim=1)
    return torch.sigmoid(torch.cat([-logits, logits], dim=1))
