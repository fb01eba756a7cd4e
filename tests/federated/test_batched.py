"""Batched hospitals against the same hospitals one after another."""

from typing import Any

import pytest
import torch

from federated.algorithm import Algorithm, compose
from federated.batched import cohort, unfit
from federated.errors import UpdateError
from federated.federation import advance, begin, order, simulate
from federated.initial import weights_of
from federated.shares import combine, train_share
from federated.site import LocalSite
from federated.types import Order
from models.logistic import Logistic
from models.mlp import Mlp
from tests.federated import make
from tests.federated.batches import classified

ROUNDS = 50


def rules(name: str = "fedavg", **local: Any) -> Algorithm:
    return compose(name, {"local": {"lr": 0.05, "batch_size": 4} | local})


CASES = {
    "logistic": (Logistic(), 2, rules(steps=10)),
    "classes": (Logistic(), 3, rules(epochs=2)),
    "mlp": (Mlp(hidden=(8,)), 3, rules(steps=5)),
    "two layers": (Mlp(hidden=(6, 5)), 2, rules(epochs=1)),
    "whole": (Mlp(), 2, rules(batch_size=None)),
    "median": (Logistic(), 2, rules("median", steps=3)),
    "nova": (Logistic(), 2, rules("fednova", epochs=1)),
}


@pytest.mark.parametrize("case", CASES)
def test_fifty_rounds_stay_within_1e_5(case: str) -> None:
    model, classes, ours = CASES[case]
    sites = classified(model, classes, ours)  # 13, 20 and 7 training rows
    weights = weights_of(sites[0].network)
    alone = simulate(ours, {s.hospital: s for s in sites}, weights, ROUNDS, seed=1)
    now, together = begin(ours, weights), cohort(sites)
    for _ in range(ROUNDS):
        share = together.train(order(ours, now, ROUNDS))
        examples = {site.hospital: site.rows.examples for site in sites}
        now = advance(ours, now, {}, combine(ours, [share], now.weights, examples))
    moved = max(float((alone.weights[k] - weights[k]).abs().max()) for k in weights)
    apart = max(float((alone.weights[k] - now.weights[k]).abs().max()) for k in weights)
    assert moved > 0.01
    assert apart < 1e-5


def test_receipts_are_those_of_hospitals_alone() -> None:
    ours = rules(epochs=2)
    sites = classified(Logistic(), 2, ours)
    given = Order(3, weights_of(sites[0].network), rate=0.5)
    batched, alone = cohort(sites).train(given), train_share(ours, sites, given, {})
    for found, wanted in zip(batched.receipts, alone.receipts, strict=True):
        assert (found.hospital, found.round, found.examples) == (
            wanted.hospital,
            3,
            wanted.examples,
        )
        assert (found.steps, found.sent) == (wanted.steps, wanted.sent)
        assert found.loss == pytest.approx(wanted.loss, abs=1e-6)


def test_the_same_bits_twice() -> None:
    sites = classified(Mlp(), 3, rules())
    given = Order(1, weights_of(sites[0].network))
    one, two = (cohort(sites).train(given).sums for _ in range(2))
    assert one is not None
    assert two is not None
    assert all(torch.equal(one.step.total[k], two.step.total[k]) for k in one.step.total)


def test_divergence_names_the_hospital() -> None:
    sites = classified(Mlp(), 3, rules(lr=1e30))
    with pytest.raises(UpdateError, match="hospital 'a', round 2"):
        cohort(sites).train(Order(2, weights_of(sites[0].network)))


@pytest.mark.parametrize(
    ("ours", "why"),
    [
        (rules(momentum=0.9), "without momentum"),
        (rules(clip=1.0), "without clip"),
        (rules("scaffold"), "algorithm.local.name sgd"),
        (rules("topk"), "algorithm.compression.name identity alone"),
        (rules("ditto"), "algorithm.personal.name shared alone"),
        (rules("qfedavg"), "loss_before"),
    ],
)
def test_what_does_not_fit_is_told(ours: Algorithm, why: str) -> None:
    found = unfit(make.site("a", ours))
    assert found is not None
    assert why in found


def test_a_network_with_other_layers_does_not_fit() -> None:
    (site, *_) = classified(Mlp(norm="layer"), 2, rules())
    assert "linear layers" in str(unfit(site))
    fitting: LocalSite = make.site("a", rules())
    assert unfit(fitting) is None
