"""What one hospital does in a round.

A rule is a frozen dataclass with `step_count(rows) -> int`, the number of gradient steps of a full
round, and `train(network, weights, rows, objective, steps, generator) -> LocalResult`.
"""

from dataclasses import dataclass

from federated.types import Weights


@dataclass(frozen=True)
class LocalResult:
    """delta: u_i over the floating tensors; loss: mean over the steps, in the objective's unit."""

    delta: Weights
    steps: int
    loss: float
