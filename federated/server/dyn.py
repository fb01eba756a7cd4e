"""FedDyn's server step: h ← h - (|S|/N)·Δ, w ← w + Δ - h.

Acar et al. 2021 (arXiv:2111.04263), algorithm 1, with its h divided by α: the server needs no α.
Δ must be the mean over hospitals alike. Running statistics are no parameters: they take Δ
alone.
"""

from typing import ClassVar

import torch

from federated.plugins import options
from federated.server import Server
from federated.server._adaptive import statistic
from federated.types import Aggregate, Weights
from federated.weights import add


@options
class Dyn(Server):
    """No options."""

    pair: ClassVar[str] = "dyn"

    def init(self, weights: Weights) -> Weights:
        """h is 0."""
        return {}

    def apply(
        self, weights: Weights, aggregate: Aggregate, state: Weights
    ) -> tuple[Weights, Weights]:
        """New weights, and h (float64) as state."""
        taken = aggregate.cohort / aggregate.hospitals
        drift = {
            name: state.get(name, torch.zeros_like(step)) - taken * step
            for name, step in aggregate.step.items()
            if not statistic(name)
        }
        step = {n: s - drift[n] if n in drift else s for n, s in aggregate.step.items()}
        return add(weights, step), drift
