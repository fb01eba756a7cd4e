"""SCAFFOLD's server step: w ← w + η_s·Δ, c ← c + Σ_{i in S} p_i (c_i⁺ - c_i).

Karimireddy et al. 2020 (arXiv:1910.06378), algorithm 1, with p_i = 1/N: N counts all hospitals, S
the cohort. Where updates are weighted by examples, p_i = n_i/n: c has to be the gradient of the
loss that the updates descend, or it pulls to another optimum. c begins at 0, kept in float64.
"""

from typing import Annotated, ClassVar

import torch
from pydantic import Field

from federated.plugins import options
from federated.server import Server
from federated.types import Aggregate, Weights
from federated.weights import add


@options
class Scaffold(Server):
    """lr: the server's step size η_s."""

    lr: Annotated[float, Field(gt=0)] = 1.0
    pair: ClassVar[str] = "scaffold"

    def init(self, weights: Weights) -> Weights:
        """No control variate yet, which is 0."""
        return {}

    def broadcast(self, state: Weights) -> Weights:
        """c, in the hospitals' float32."""
        return {name: c.float() for name, c in state.items()}

    def apply(
        self, weights: Weights, aggregate: Aggregate, state: Weights
    ) -> tuple[Weights, Weights]:
        """New weights, and the new c as state."""
        control = {
            name: state.get(name, torch.zeros_like(change)) + aggregate.share * change
            for name, change in aggregate.extra.items()
        }
        return add(weights, aggregate.step, self.lr), state | control
