"""FedDyn's server step: h ← h - s·Δ, w ← w + Δ - h.

Acar et al. 2021 (arXiv:2111.04263), algorithm 1, with its h divided by α: the server needs no α. s
is the cohort's share of all hospitals, |S|/N; where updates are weighted by examples, of these.
"""

from typing import ClassVar

import torch

from federated.plugins import options
from federated.server import Server
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
        drift = {
            name: state.get(name, torch.zeros_like(step)) - aggregate.share * step
            for name, step in aggregate.step.items()
        }
        return add(weights, {n: s - drift[n] for n, s in aggregate.step.items()}), drift
