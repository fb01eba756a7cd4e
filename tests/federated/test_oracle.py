"""The algorithms against numpy code that shares nothing with theirs."""

from dataclasses import replace
from itertools import chain

import numpy as np
import pytest
import torch

from federated.aggregation.mean import Mean
from federated.aggregation.sum import Sum
from federated.algorithm import compose
from federated.initial import weights_of
from federated.local._descent import batches
from federated.local.gradient import Gradient
from federated.local.sgd import Sgd
from federated.server.sgd import Sgd as ServerSgd
from federated.site import LocalSite
from federated.types import Order, Weights
from tests.federated.make import aggregated, algorithm, site, task

LR = 0.3


def numpy_gradient(w: np.ndarray, b: float, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """∇ of the mean logistic loss, in float64: xᵀ(σ(xw + b) - y) / n, bias last."""
    error = 1 / (1 + np.exp(-(x @ w + b))) - y
    return np.append(x.T @ error, error.sum()) / len(y)


def flat(weights: Weights) -> np.ndarray:
    return np.append(weights["1.weight"].double().numpy().ravel(), weights["1.bias"].double())


def arrays(one: LocalSite) -> tuple[np.ndarray, np.ndarray]:
    return one.data.train.features.double().numpy(), one.data.train.targets.numpy()


def one_round(sites: list[LocalSite], aggregation: object, weights: Weights) -> Weights:
    updates = [s.train(Order(1, weights), {}).update for s in sites]
    step = aggregation.aggregate(updates)  # type: ignore[attr-defined]
    return ServerSgd().apply(weights, aggregated(step), {})[0]


@pytest.mark.parametrize("rule", [Sgd(lr=LR, epochs=1, batch_size=None), Gradient(lr=LR)])
def test_fedavg_of_one_full_batch_epoch_is_a_pooled_gradient_step(rule: object) -> None:
    sites = [site(name, algorithm(local=rule), count=30, seed=i) for i, name in enumerate("abc")]
    weights = weights_of(sites[0].network)
    before = flat(weights)
    x = np.concatenate([arrays(s)[0] for s in sites])
    y = np.concatenate([arrays(s)[1] for s in sites])
    expected = before - LR * numpy_gradient(before[:-1], before[-1], x, y)
    assert flat(one_round(sites, Mean(), weights)) == pytest.approx(expected, abs=1e-6)


def test_unequal_hospitals_are_weighted_by_examples() -> None:
    sites = [
        site(n, algorithm(local=Gradient(lr=LR)), count=c, seed=c)
        for n, c in (("a", 10), ("b", 70))
    ]
    weights = weights_of(sites[0].network)
    before = flat(weights)
    grads = [numpy_gradient(before[:-1], before[-1], *arrays(s)) for s in sites]
    weighted = before - LR * (10 * grads[0] + 70 * grads[1]) / 80
    plain = before - LR * (grads[0] + grads[1]) / 2
    assert flat(one_round(sites, Mean(), weights)) == pytest.approx(weighted, abs=1e-6)
    unweighted = Mean(weighted_by="hospitals")
    assert flat(one_round(sites, unweighted, weights)) == pytest.approx(plain, abs=1e-6)


def test_the_tutorials_sum_is_m_times_the_mean() -> None:
    sites = [
        site(name, algorithm(local=Gradient(lr=LR)), count=30, seed=i)
        for i, name in enumerate("abcd")
    ]
    weights = weights_of(sites[0].network)
    updates = [s.train(Order(1, weights), {}).update for s in sites]
    total = Sum().aggregate(updates)
    mean = Mean(weighted_by="hospitals").aggregate(updates)
    for name in total:
        assert torch.equal(total[name], 4 * mean[name])
    before = flat(weights)
    steps = [-LR * numpy_gradient(before[:-1], before[-1], *arrays(s)) for s in sites]
    got = flat(one_round(sites, Sum(), weights))
    assert got == pytest.approx(before + np.sum(steps, axis=0), abs=1e-6)


def test_local_sgd_takes_h_steps_and_averages_hospitals_alike() -> None:
    rules = compose("local_sgd", {"local": {"lr": LR, "steps": 3, "batch_size": None}})
    sites = [site(n, rules, count=c, seed=c) for n, c in (("a", 12), ("b", 40))]
    weights = weights_of(sites[0].network)
    ends = []
    for one in sites:
        local = flat(weights)
        for _ in range(3):
            local = local - LR * numpy_gradient(local[:-1], local[-1], *arrays(one))
        ends.append(local)
    got = flat(one_round(sites, rules.aggregation, weights))
    assert got == pytest.approx(np.mean(ends, axis=0), abs=1e-6)


def test_mini_batches_against_numpy() -> None:
    rule = Sgd(lr=LR, epochs=2, batch_size=8)
    one = site("a", algorithm(local=rule), count=20)
    weights = weights_of(one.network)
    x, y = arrays(one)
    order = batches(20, 8, 6, torch.Generator().manual_seed(3))
    local = flat(weights)
    for batch in order:
        local = local - LR * numpy_gradient(local[:-1], local[-1], x[batch], y[batch])
    result = rule.train(task(one.network, weights, one.data.train, rule.step_count(20), seed=3))
    assert result.steps == 6
    got = flat(weights) + np.append(
        result.delta["1.weight"].double().numpy().ravel(), result.delta["1.bias"].double()
    )
    assert got == pytest.approx(local, abs=1e-6)


def test_every_epoch_visits_every_row_once() -> None:
    seen = [b.tolist() for b in batches(10, 4, 6, torch.Generator().manual_seed(0))]
    assert [len(b) for b in seen] == [4, 4, 2, 4, 4, 2]
    for epoch in (seen[:3], seen[3:]):
        assert sorted(chain(*epoch)) == list(range(10))
    assert seen[:3] != seen[3:]


def test_round_hospital_and_seed_each_change_the_batches() -> None:
    one = site("a", algorithm(local=Sgd(lr=LR, batch_size=4)))
    weights = weights_of(one.network)

    def trained(s: LocalSite, number: int) -> bytes:
        return s.train(Order(number, weights), {}).update.delta["1.weight"].numpy().tobytes()

    again = trained(one, 1)
    assert again == trained(one, 1)
    renamed = replace(one, data=replace(one.data, hospital="b"))
    other = {trained(one, 2), trained(renamed, 1), trained(replace(one, seed=8), 1)}
    assert len(other | {again}) == 4
