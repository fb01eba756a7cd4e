"""Federated Cox regression against Newton's method on the stratified partial likelihood."""

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from federated.algorithm import compose
from federated.config import EvaluationConfig
from federated.errors import DataError
from federated.federation import begin as before_round_one
from federated.federation import learning, select, simulate
from federated.initial import weights_of
from federated.objectives.survival import Survival
from federated.site import LocalSite
from federated.types import HospitalData, Split

HOSPITALS, WIDTH = 60, 3
Array = NDArray[np.float64]
Rows = tuple[Array, Array, Array]
"""x [n, 3], time [n] with ties, event [n]."""


@cache
def hospitals() -> tuple[Rows, ...]:
    """Of 20 to 80 patients, event rates from 0 to 0.6, other patients and hazards at each."""
    drawn, beta = np.random.default_rng(0), np.array([0.8, -0.5, 0.3])
    return tuple(rows(drawn, beta, 0.6 * i / (HOSPITALS - 1)) for i in range(HOSPITALS))


def rows(drawn: np.random.Generator, beta: Array, rate: float) -> Rows:
    n = int(drawn.integers(20, 80))
    x = drawn.normal(size=(n, WIDTH)) + 0.5 * drawn.normal(size=WIDTH)
    dies = drawn.exponential(size=n) * np.exp(drawn.normal() - x @ beta)
    ends = np.quantile(dies, rate) * np.exp(0.3 * drawn.normal(size=n)) if rate else 0.5 * dies
    event = (dies <= ends).astype(np.float64)
    return x, np.ceil(50 * np.minimum(dies, ends)) / 50, event


@cache
def maximum() -> tuple[Array, Array]:
    """The stratified maximum likelihood (Breslow) and its standard errors, event by event."""
    beta, hessian = np.zeros(WIDTH), np.eye(WIDTH)
    for _ in range(30):
        gradient, hessian = np.zeros(WIDTH), np.zeros((WIDTH, WIDTH))
        for x, time, event in hospitals():
            for i in np.flatnonzero(event):
                at_risk = x[time >= time[i]]
                p = np.exp(at_risk @ beta)
                p /= p.sum()
                mean = p @ at_risk
                gradient += x[i] - mean
                hessian += (p[:, None] * at_risk).T @ at_risk - np.outer(mean, mean)
        beta = beta + np.linalg.solve(hessian, gradient)
    return beta, np.sqrt(np.diag(np.linalg.inv(hessian)))


def site(name: str, given: Rows, rules: Any) -> LocalSite:
    x, time, event = given
    known = np.stack([time, event], axis=1)
    split = Split(torch.tensor(x, dtype=torch.float32), torch.tensor(known))
    network = nn.Sequential(nn.Linear(WIDTH, 1, bias=False))
    nn.init.zeros_(network[0].weight)  # type: ignore[arg-type]
    return LocalSite(
        data=HospitalData(name, split, split, split),
        network=network,
        algorithm=rules,
        seed=1,
        objective=Survival("months", "died"),
        resolution=EvaluationConfig(score_bins=10, calibration_bins=5),
    )


ONE_STEP = {"lr": 0.5, "steps": 1, "batch_size": None}
FIVE = {"lr": 0.1, "steps": 5, "batch_size": None}


@pytest.mark.parametrize(
    ("name", "local", "rounds"),
    [("fedavg", ONE_STEP, 40), ("scaffold", FIVE, 30), ("feddyn", FIVE | {"alpha": 1.0}, 40)],
)
def test_sixty_hospitals_end_at_the_stratified_maximum_likelihood(
    name: str, local: dict[str, Any], rounds: int
) -> None:
    rules = compose(name, {"local": local})
    sites = {f"h{i}": site(f"h{i}", one, rules) for i, one in enumerate(hospitals())}
    assert any(one.rows.examples == 0 for one in sites.values())
    start = weights_of(sites["h0"].network)
    found = simulate(rules, sites, start, rounds, seed=1).weights["0.weight"][0].double().numpy()
    beta, errors = maximum()
    assert np.abs(beta / errors).min() > 5  # there is something to find
    assert np.abs((found - beta) / errors).max() < 0.05


def test_a_hospital_without_events_is_not_asked_and_does_not_dilute() -> None:
    rules = compose("local_sgd", {"local": ONE_STEP})
    ill = {"a": site("a", hospitals()[30], rules), "b": site("b", hospitals()[50], rules)}
    x, time, event = hospitals()[40]
    silent = site("silent", (x, time, np.zeros_like(event)), rules)
    whole = {"silent": silent, **ill}
    start = weights_of(silent.network)
    assert learning(whole) == {h: int(one.data.train.targets[:, 1].sum()) for h, one in ill.items()}
    assert select(rules, whole, before_round_one(rules, start), seed=1) == ["a", "b"]
    with_it, without = (simulate(rules, sites, start, 3, seed=1) for sites in (whole, ill))
    assert torch.equal(with_it.weights["0.weight"], without.weights["0.weight"])
    with pytest.raises(DataError, match="no hospital has a training row to learn from"):
        learning({"silent": silent})


def test_updates_weigh_by_events() -> None:
    rules = compose("fedavg", {"local": ONE_STEP})
    few, many = site("few", hospitals()[10], rules), site("many", hospitals()[55], rules)
    events = [int(one.data.train.targets[:, 1].sum()) for one in (few, many)]
    assert [one.rows.examples for one in (few, many)] == events
    assert few.rows.train != events[0]
