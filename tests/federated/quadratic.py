"""Hospitals of linear regression: every loss is an exact quadratic, its optimum in closed form.

L_i(θ) = ‖X_i θ - y_i‖²/n_i = (θ - b_i)ᵀ H_i (θ - b_i)/2 + constant, H_i = 2 X_iᵀX_i/n_i; float64.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from federated.algorithm import Algorithm
from federated.config import EvaluationConfig
from federated.coordinator import aggregate, apply
from federated.local import LocalTask
from federated.objectives.regression import Regression
from federated.site import LocalSite
from federated.types import HospitalData, Order, Split, Weights

Array = NDArray[np.float64]
VALUE = Regression("value")
NAME = "0.weight"  # the one tensor of the model


@dataclass(frozen=True)
class Hospital:
    """x: [n, d]; y: [n]."""

    x: Array
    y: Array

    def loss(self, theta: Array) -> float:
        return float(np.mean((self.x @ theta - self.y) ** 2))

    def gradient(self, theta: Array) -> Array:
        return self.hessian @ (theta - self.best)

    @property
    def hessian(self) -> Array:
        return 2 * self.x.T @ self.x / len(self.y)

    @property
    def best(self) -> Array:
        """b_i."""
        return np.linalg.lstsq(self.x, self.y, rcond=None)[0]

    def split(self) -> Split:
        return Split(torch.tensor(self.x), torch.tensor(self.y))


def hospitals(rows: Sequence[int] = (12, 12, 12, 12), width: int = 3) -> list[Hospital]:
    """They differ in curvature and in optimum, and no line fits their rows."""
    drawn, found = np.random.default_rng(5), []
    for i, count in enumerate(rows):
        x = drawn.normal(size=(count, width)) * (0.5 + i / 2)
        theta = 2.0 * drawn.normal(size=width)
        found.append(Hospital(x, x @ theta + 0.3 * drawn.normal(size=count)))
    return found


def optimum(all_: Sequence[Hospital], weights: Sequence[float] | None = None) -> Array:
    """argmin Σ p_i L_i; all p_i alike unless given."""
    p = weights or [1.0] * len(all_)
    total = sum(c * h.hessian for c, h in zip(p, all_, strict=True))
    return np.linalg.solve(total, sum(c * h.hessian @ h.best for c, h in zip(p, all_, strict=True)))


def network(width: int = 3) -> nn.Module:
    return nn.Sequential(nn.Linear(width, 1, bias=False)).double()


def start(width: int = 3) -> Weights:
    return {NAME: torch.linspace(-0.5, 1.0, width, dtype=torch.float64)[None]}


def task(hospital: Hospital, weights: Weights, steps: int, **more: object) -> LocalTask:
    drawn = torch.Generator().manual_seed(1)
    width = hospital.x.shape[1]
    return LocalTask(network(width), weights, hospital.split(), steps, drawn, VALUE, **more)  # type: ignore[arg-type]


def vector(weights: Weights) -> Array:
    return weights[NAME].double().numpy().ravel().copy()


def sites(all_: Sequence[Hospital], rules: Algorithm) -> list[LocalSite]:
    return [
        LocalSite(
            data=HospitalData(f"h{i}", h.split(), h.split(), h.split()),
            network=network(h.x.shape[1]),
            algorithm=rules,
            seed=3,
            objective=VALUE,
            resolution=EvaluationConfig(score_bins=10, calibration_bins=5),
        )
        for i, h in enumerate(all_)
    ]


def federate(
    rules: Algorithm,
    members: Sequence[LocalSite],
    weights: Weights,
    cohorts: Sequence[Sequence[int]],
    steps: Sequence[int] | None = None,
) -> list[Array]:
    """The global model after each round. cohorts: who trains in it. steps: by hospital, at most."""
    server, seen = rules.server.init(weights), []
    states: list[Weights] = [{} for _ in members]
    for number, cohort in enumerate(cohorts, start=1):
        order, updates = Order(number, weights, rules.server.broadcast(server)), []
        for i in cohort:
            trained = members[i].train(order, states[i], steps[i] if steps else None)
            states[i] = trained.state
            updates.append(trained.update)
        examples = {f"h{i}": site.rows.examples for i, site in enumerate(members)}
        combined = aggregate(rules, updates, weights, examples)
        weights, server = apply(rules, weights, combined, server)
        seen.append(vector(weights))
    return seen
