"""One full-batch gradient: the tutorial's update u_i = -η ∇L(θ_i), at θ_i = w.

With the mean as aggregation this is FedSGD (McMahan et al. 2017, arXiv:1602.05629, section 2);
with the sum it is the tutorial's rule w ← w + Σ u_i.
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import nn

from federated.local import LocalResult
from federated.objectives import Objective
from federated.plugins import options
from federated.types import Split, Weights
from federated.weights import floating


@options
class Gradient:
    """lr: the step size η > 0."""

    lr: Annotated[float, Field(gt=0)] = 0.1

    def step_count(self, rows: int) -> int:
        """Always one."""
        return 1

    def train(
        self,
        network: nn.Module,
        weights: Weights,
        rows: Split,
        objective: Objective,
        steps: int,
        generator: torch.Generator,
    ) -> LocalResult:
        """u = -η ∇L(w) over all rows. Buffers get no update: nothing was averaged into them."""
        network.load_state_dict(weights)
        network.train()
        value = objective.loss(network(rows.features), rows.targets)
        names, parameters = zip(*network.named_parameters(), strict=True)
        gradients = torch.autograd.grad(value, parameters)
        delta = {name: torch.zeros_like(t) for name, t in floating(weights).items()}
        delta |= {n: -self.lr * g for n, g in zip(names, gradients, strict=True)}
        return LocalResult(delta, 1, float(value.detach()))
