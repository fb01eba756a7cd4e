"""One full-batch gradient: the tutorial's update u_i = -η ∇L(θ_i), at θ_i = w.

With the mean as aggregation this is FedSGD (McMahan et al. 2017, arXiv:1602.05629, section 2);
with the sum it is the tutorial's rule w ← w + Σ u_i.
"""

from typing import Literal

import torch

from federated.local import LocalResult, LocalTask
from federated.local._descent import load, measured
from federated.local.sgd import Positive
from federated.plugins import options
from federated.weights import trained_names


@options
class Gradient:
    """lr: the step size η. class_weights: `balanced` lets every class weigh alike."""

    lr: Positive = 0.1
    class_weights: Literal["balanced"] | None = None

    def step_count(self, rows: int) -> int:
        """Always one."""
        return 1

    def train(self, task: LocalTask) -> LocalResult:
        """u = -η ∇L(w) over all rows. A tensor's second name gets 0."""
        names, parameters = zip(*load(task), strict=True)
        rows, objective = task.rows, task.objective
        weights = objective.row_weights(rows.targets) if self.class_weights else None
        value = objective.loss(task.network(rows.features), rows.targets, weights)
        gradients = torch.autograd.grad(value, parameters)
        lr = self.lr * task.rate
        delta = {n: torch.zeros_like(task.weights[n]) for n in trained_names(task.network)}
        delta |= {n: -lr * g for n, g in zip(names, gradients, strict=True)}
        return LocalResult(delta, 1, float(value.detach()), buffers=measured(task))
