"""What the objectives share: losses by row brought together, and shapes that must fit."""

import torch
from torch import Tensor

from federated.errors import ConfigError


def reduced(losses: Tensor, weights: Tensor | None, reduction: str) -> Tensor:
    """Losses [n] by row → `none`: [n], `sum`, or `mean`: Σ w_i l_i / Σ w_i."""
    weighted = losses if weights is None else losses * weights
    if reduction == "none":
        return weighted
    if reduction == "sum":
        return weighted.sum()
    return weighted.mean() if weights is None else weighted.sum() / weights.sum()


def require(outputs: Tensor, targets: Tensor, width: int, shape: tuple[int, ...]) -> None:
    """Raise ValueError unless outputs are [n, width] and targets [n, *shape]."""
    if outputs.shape != (len(targets), width) or targets.shape[1:] != shape:
        raise ValueError(
            f"outputs {tuple(outputs.shape)} do not fit targets {tuple(targets.shape)}: expected "
            f"[n, {width}] and {['n', *shape]}"
        )


def require_some(targets: Tensor, reduction: str) -> None:
    """Raise ValueError for the mean of no rows."""
    if reduction == "mean" and len(targets) == 0:
        raise ValueError("the mean loss of no rows is undefined")


def wide(outputs: Tensor) -> Tensor:
    """Outputs in float64 on the CPU. Raises ValueError for NaN or infinity."""
    if not bool(torch.isfinite(outputs).all()):
        raise ValueError("the model's outputs are not finite (NaN or infinity)")
    return outputs.detach().to("cpu", torch.float64)


def no_classes(what: str) -> ConfigError:
    """The error for class weights where there are no classes."""
    return ConfigError(f"class_weights need classes, and the target is {what}; set it to null")
