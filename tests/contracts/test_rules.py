"""One contract for every plug-in file of a kind: a new rule is tested with no edit here."""

import random
from typing import Any

import pytest
import torch
from torch import nn

from federated import plugins
from federated.algorithm import PRESETS, compose
from federated.initial import build, weights_of
from federated.local import LocalTask
from federated.selection import Candidates
from federated.types import Aggregate, Split, Weights
from tests.federated.make import rows, task, update

AGGREGATIONS = plugins.names("federated.aggregation")
LOCALS = plugins.names("federated.local")
SERVERS = plugins.names("federated.server")
SELECTIONS = plugins.names("federated.selection")
MODELS = plugins.names("models")
IMAGE_MODELS = {"cnn", "resnet"}


def made(kind: str, name: str) -> Any:
    return plugins.create(f"federated.{kind}", name, {}, kind)


@pytest.mark.parametrize("name", AGGREGATIONS)
def test_aggregation_does_not_depend_on_the_order(name: str) -> None:
    rule, drawn = made("aggregation", name), random.Random(0)
    updates = [
        update(f"h{i}", [drawn.gauss(0, 1) for _ in range(5)], examples=drawn.randint(1, 90))
        for i in range(9)
    ]
    first = rule.aggregate(updates)
    for _ in range(5):
        drawn.shuffle(updates)
        assert torch.equal(rule.aggregate(updates)["w"], first["w"])


@pytest.mark.parametrize("name", AGGREGATIONS)
def test_zero_updates_leave_the_weights(name: str) -> None:
    aggregate = made("aggregation", name).aggregate([update(h, [0.0, 0.0]) for h in "abcdefg"])
    assert aggregate["w"].tolist() == [0.0, 0.0]
    assert aggregate["w"].dtype == torch.float64


@pytest.mark.parametrize("name", AGGREGATIONS)
def test_nothing_to_aggregate_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no updates"):
        made("aggregation", name).aggregate([])


class Normalised(nn.Module):
    """Has floating buffers and an integer counter."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(3)
        self.last = nn.Linear(3, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.last(self.norm(x))
        return y


def work(network: nn.Module, weights: Weights, data: Split, steps: int, seed: int = 1) -> LocalTask:
    """The last layer stays at the hospital, for the rules that ask which does."""
    names = list(weights)
    return task(network, weights, data, steps, seed, own=frozenset(names[-1:]))


@pytest.mark.parametrize("name", LOCALS)
def test_local_training_is_a_function_of_its_arguments(name: str) -> None:
    rule, data = made("local", name), rows(20, 3)
    network = Normalised()
    weights = weights_of(network)
    kept = {k: v.clone() for k, v in weights.items()}

    def trained() -> Weights:
        torch.manual_seed(random.randrange(2**31))  # global state must not matter
        result: Weights = rule.train(work(network, weights, data, rule.step_count(20))).delta
        return result

    first, second = trained(), trained()
    assert all(torch.equal(first[k], second[k]) for k in first)
    assert all(torch.equal(weights[k], kept[k]) for k in kept)
    assert set(first) == {k for k, v in weights.items() if v.is_floating_point()}
    assert any(bool(first[k].any()) for k in ("last.weight", "last.bias"))


@pytest.mark.parametrize("name", LOCALS)
def test_local_training_descends_and_says_what_it_did(name: str) -> None:
    rule, data = made("local", name), rows(64, 3)
    network = build(plugins.find("models", "logistic")(), (3,), 1, run_seed=1)
    weights = weights_of(network)
    first = rule.train(work(network, weights, data, rule.step_count(64)))
    assert first.steps == rule.step_count(64)
    for seed in range(30):
        result = rule.train(work(network, weights, data, rule.step_count(64), seed))
        weights = {k: w + result.delta[k] for k, w in weights.items()}
    assert result.loss < first.loss


@pytest.mark.parametrize("name", LOCALS)
def test_one_row_and_one_class_can_train(name: str) -> None:
    rule = made("local", name)
    network = build(plugins.find("models", "logistic")(), (3,), 1, run_seed=1)
    data = Split(torch.ones(1, 3), torch.ones(1, dtype=torch.int64))
    result = rule.train(work(network, weights_of(network), data, rule.step_count(1)))
    assert all(bool(torch.isfinite(t).all()) for t in result.delta.values())


@pytest.mark.parametrize("name", SERVERS)
def test_server_keeps_dtypes_counters_and_its_arguments(name: str) -> None:
    rule = made("server", name)
    weights = {"w": torch.ones(2), "half": torch.ones(2).bfloat16(), "n": torch.tensor(4)}
    zero = {"w": torch.zeros(2).double(), "half": torch.zeros(2).double()}
    after, state = rule.apply(weights, Aggregate(zero, {}, 3, 3), rule.init(weights))
    assert {k: v.dtype for k, v in after.items()} == {k: v.dtype for k, v in weights.items()}
    assert all(torch.equal(after[k], weights[k]) for k in weights)
    assert all(isinstance(t, torch.Tensor) for t in state.values())


@pytest.mark.parametrize("name", SELECTIONS)
def test_selection_is_a_seeded_subset_in_order(name: str) -> None:
    names = [f"h{i}" for i in range(7)]
    values = {"hospitals": ["h2"]} if name == "only" else {}
    rule = plugins.create("federated.selection", name, values, "selection")
    sizes = {n: 10 + i for i, n in enumerate(names)}
    candidates = Candidates(tuple(names), sizes, round=3, seed=5, loss=lambda h: float(h[1:]))
    first = rule.select(candidates, torch.Generator().manual_seed(3))
    assert first == rule.select(candidates, torch.Generator().manual_seed(3))
    assert first
    assert first == [n for n in names if n in set(first)]


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("outputs", [1, 3])
def test_models_give_the_outputs_asked_for_and_are_seeded(name: str, outputs: int) -> None:
    shape = (1, 28, 28) if name in IMAGE_MODELS else (5,)
    architecture = plugins.create("models", name, {}, "model")
    state = torch.random.get_rng_state()
    network = build(architecture, shape, outputs, run_seed=1)
    assert torch.equal(torch.random.get_rng_state(), state)
    again, other = build(architecture, shape, outputs, 1), build(architecture, shape, outputs, 2)
    assert network(torch.zeros(4, *shape)).shape == (4, outputs)
    first, same, differs = (next(n.parameters()) for n in (network, again, other))
    assert torch.equal(first, same)
    assert not torch.equal(first, differs)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_compose_with_their_defaults(name: str) -> None:
    rules = compose(name, {})
    assert rules.name == name
    assert rules.local.step_count(10) >= 1
