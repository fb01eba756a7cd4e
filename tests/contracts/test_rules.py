"""One contract for every plug-in file of a kind: a new rule is tested with no edit here."""

import random
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from federated import plugins
from federated.algorithm import PRESETS, compose
from federated.compression import compress
from federated.errors import ConfigError, UpdateError
from federated.initial import build, weights_of
from federated.local import LocalTask
from federated.selection import Candidates
from federated.types import Split, Update, Weights
from federated.weights import from_bytes, to_bytes, trained_names
from tests.federated.make import aggregated, rows, task

AGGREGATIONS = plugins.names("federated.aggregation")
LOCALS = plugins.names("federated.local")
SERVERS = plugins.names("federated.server")
PREAGGREGATIONS = plugins.names("federated.preaggregation")
SELECTIONS = plugins.names("federated.selection")
COMPRESSIONS = plugins.names("federated.compression")
PERSONALS = plugins.names("federated.personal")
SCHEDULES = plugins.names("federated.schedule")
MODELS = plugins.names("models")
IMAGE_MODELS = {"cnn", "resnet"}


def made(kind: str, name: str) -> Any:
    return plugins.create(f"federated.{kind}", name, {}, kind)


# whatever a rule may ask a hospital for beside its update
SCALARS = {"normaliser": 1.0, "loss_before": 0.7}
# Σ u_i is m·u by intent; q-FedAvg shortens a step by its own estimate of the curvature
NO_FIXED_POINT = {"sum", "qfedavg"}
SHAPES = {"layer.weight": (2, 3), "norm.running_var": (2,), "scale": ()}


def sent(hospital: str, delta: Weights, examples: int = 1) -> Update:
    return Update(hospital, 3, delta, examples, steps=1, loss=0.5, scalars=SCALARS)


def several(count: int, dtype: torch.dtype = torch.float32) -> list[Update]:
    """Updates of several tensors, one of them a buffer."""
    drawn = torch.Generator().manual_seed(count)
    return [
        sent(
            f"h{i}",
            {k: torch.randn(s, generator=drawn).to(dtype) for k, s in SHAPES.items()},
            examples=1 + 7 * i,
        )
        for i in range(count)
    ]


def same(left: Weights, right: Weights) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[k], right[k]) for k in left)


def broken(update: Update, tensor: torch.Tensor) -> Update:
    return replace(update, delta=update.delta | {"norm.running_var": tensor})


BAD = {
    "NaN": torch.tensor([1.0, float("nan")]),
    "infinity": torch.tensor([float("inf"), 1.0]),
    "shape": torch.zeros(3),
    "dtype": torch.zeros(2).double(),
}


@pytest.mark.parametrize("name", AGGREGATIONS)
def test_aggregation_does_not_depend_on_the_order(name: str) -> None:
    rule, updates, drawn = made("aggregation", name), several(9), random.Random(0)
    first = rule.aggregate(updates)
    for _ in range(5):
        drawn.shuffle(updates)
        assert same(rule.aggregate(updates), first)


@pytest.mark.parametrize("name", AGGREGATIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_aggregation_gives_float64_and_leaves_its_arguments(name: str, dtype: torch.dtype) -> None:
    updates, kept = several(7, dtype), several(7, dtype)
    step = made("aggregation", name).aggregate(updates)
    assert {k: tuple(t.shape) for k, t in step.items()} == SHAPES
    assert {t.dtype for t in step.values()} == {torch.float64}
    for tensor in step.values():
        tensor.add_(1)  # the step is the caller's own
    assert all(same(u.delta, k.delta) for u, k in zip(updates, kept, strict=True))


@pytest.mark.parametrize("name", AGGREGATIONS)
def test_zero_updates_leave_the_weights(name: str) -> None:
    updates = [sent(h, {"w": torch.zeros(2)}) for h in "abcdefg"]
    aggregate = made("aggregation", name).aggregate(updates)
    assert aggregate["w"].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("name", [n for n in AGGREGATIONS if n not in NO_FIXED_POINT])
def test_equal_updates_are_the_aggregate(name: str) -> None:
    value = torch.tensor([0.5, -3.0, 1e-3])
    updates = [sent(h, {"w": value.clone()}, examples=i + 1) for i, h in enumerate("abcdefghi")]
    aggregate = made("aggregation", name).aggregate(updates)["w"]
    assert torch.allclose(aggregate, value.double(), rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", AGGREGATIONS)
def test_nothing_to_aggregate_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no updates"):
        made("aggregation", name).aggregate([])


@pytest.mark.parametrize("why", BAD)
@pytest.mark.parametrize("name", AGGREGATIONS)
def test_what_cannot_be_aggregated_is_refused_by_hospital_and_tensor(name: str, why: str) -> None:
    updates = several(7)
    updates[4] = broken(updates[4], BAD[why])
    with pytest.raises(UpdateError, match=r"hospital 'h4', round 3: tensor 'norm\.running_var'"):
        made("aggregation", name).aggregate(updates)


@pytest.mark.parametrize("name", AGGREGATIONS)
def test_a_number_that_a_rule_needs_is_missed_by_name(name: str) -> None:
    rule = made("aggregation", name)
    for needed in getattr(rule, "needs", frozenset()):
        updates = several(7)
        scalars = {k: v for k, v in SCALARS.items() if k != needed}
        updates[2] = replace(updates[2], scalars=scalars)
        with pytest.raises(ValueError, match=f"hospital 'h2' sends no '{needed}'"):
            rule.aggregate(updates)
    bare = [replace(u, scalars={}) for u in several(7)]
    if not getattr(rule, "needs", None):
        assert same(rule.aggregate(bare), rule.aggregate(several(7)))


ROBUST = [
    (kind, name)
    for kind, names in (("aggregation", AGGREGATIONS), ("preaggregation", PREAGGREGATIONS))
    for name in names
    if getattr(plugins.find(f"federated.{kind}", name), "robust", False)
]


@pytest.mark.parametrize(("kind", "name"), ROBUST)
def test_a_robust_rule_says_how_many_faulty_hospitals_it_tolerates(kind: str, name: str) -> None:
    rule = made(kind, name)
    assert 0 < rule.tolerates(20) < 20 / 2
    assert plugins.create(f"federated.{kind}", name, {"f": 1}, kind).tolerates(20) == 1
    many = plugins.create(f"federated.{kind}", name, {"f": 4}, kind)
    apply = many.aggregate if kind == "aggregation" else many.prepare
    for refused in (lambda: many.tolerates(8), lambda: apply(several(8))):
        with pytest.raises(ConfigError, match=rf"algorithm\.{kind}\.f: {name} with f = 4"):
            refused()


@pytest.mark.parametrize("name", PREAGGREGATIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_preaggregation_keeps_hospitals_dtypes_and_its_arguments(
    name: str, dtype: torch.dtype
) -> None:
    updates, kept = several(7, dtype), several(7, dtype)
    prepared = made("preaggregation", name).prepare(updates)
    assert [replace(p, delta={}) for p in prepared] == [replace(u, delta={}) for u in kept]
    for one in prepared:
        assert {k: (tuple(t.shape), t.dtype) for k, t in one.delta.items()} == {
            k: (shape, dtype) for k, shape in SHAPES.items()
        }
    assert all(same(u.delta, k.delta) for u, k in zip(updates, kept, strict=True))


@pytest.mark.parametrize("name", PREAGGREGATIONS)
def test_preaggregation_does_not_depend_on_the_order(name: str) -> None:
    rule, updates, drawn = made("preaggregation", name), several(9), random.Random(0)
    first = {u.hospital: u.delta for u in rule.prepare(updates)}
    for _ in range(5):
        drawn.shuffle(updates)
        again = rule.prepare(updates)
        assert [u.hospital for u in again] == [u.hospital for u in updates]
        assert all(same(u.delta, first[u.hospital]) for u in again)


@pytest.mark.parametrize("value", [0.0, 0.25])
@pytest.mark.parametrize("name", PREAGGREGATIONS)
def test_preaggregation_leaves_equal_updates(name: str, value: float) -> None:
    updates = [sent(h, {"w": torch.full((2,), value)}) for h in "abcd"]
    prepared = made("preaggregation", name).prepare(updates)
    assert [u.delta["w"].tolist() for u in prepared] == [[value, value]] * 4


@pytest.mark.parametrize("why", BAD)
@pytest.mark.parametrize("name", PREAGGREGATIONS)
def test_what_cannot_be_prepared_is_refused(name: str, why: str) -> None:
    rule, updates = made("preaggregation", name), several(5)
    with pytest.raises(ValueError, match="no updates"):
        rule.prepare([])
    updates[4] = broken(updates[4], BAD[why])
    with pytest.raises(UpdateError, match=r"hospital 'h4', round 3: tensor 'norm\.running_var'"):
        rule.prepare(updates)


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
        result = rule.train(work(network, weights, data, rule.step_count(20)))
        assert result.delta.keys() == trained_names(network)
        assert result.buffers.keys() == {"norm.running_mean", "norm.running_var"}
        assert not same(result.buffers, {k: weights[k] for k in result.buffers})
        both: Weights = result.delta | result.buffers
        return both

    first, second = trained(), trained()
    assert all(torch.equal(first[k], second[k]) for k in first)
    assert all(torch.equal(weights[k], kept[k]) for k in kept)
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
    after, state = rule.apply(weights, aggregated(zero), rule.init(weights))
    assert {k: v.dtype for k, v in after.items()} == {k: v.dtype for k, v in weights.items()}
    assert all(torch.equal(after[k], weights[k]) for k in weights)
    assert all(isinstance(t, torch.Tensor) for t in state.values())


@pytest.mark.parametrize("name", SERVERS)
def test_server_is_a_function_of_its_arguments(name: str) -> None:
    rule = made("server", name)
    weights = {"w": torch.ones(2), "own": torch.ones(2), "n": torch.tensor(4)}
    step = {"w": torch.tensor([0.5, -2.0]).double()}
    state = rule.init(weights)
    kept = [{k: t.clone() for k, t in given.items()} for given in (weights, step, state)]
    given = aggregated(step)
    first, second = rule.apply(weights, given, state), rule.apply(weights, given, state)
    assert all(same(left, right) for left, right in zip(first, second, strict=True))
    assert all(same(g, k) for g, k in zip((weights, step, state), kept, strict=True))
    after, new = first
    assert not torch.equal(after["w"], weights["w"])
    assert torch.equal(after["own"], weights["own"])  # not in the step: it stays at the hospitals
    assert new.keys() >= state.keys()
    again = rule.apply(after, given, from_bytes(to_bytes(new)))  # the journal keeps state as bytes
    assert all(same(x, y) for x, y in zip(again, rule.apply(after, given, new), strict=True))


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


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", COMPRESSIONS)
def test_compression_keeps_names_shapes_dtypes_and_its_arguments(
    name: str, dtype: torch.dtype
) -> None:
    rule, delta = made("compression", name), several(1, dtype)[0].delta
    kept, lost = several(1, dtype)[0].delta, {"scale": torch.ones((), dtype=dtype)}
    first, second = (
        compress(rule, delta, lost, torch.Generator().manual_seed(3)) for _ in range(2)
    )
    assert same(first.delta, second.delta)
    assert same(first.residual, second.residual)
    assert first.sent == second.sent > 0
    assert {k: (tuple(t.shape), t.dtype) for k, t in first.delta.items()} == {
        k: (shape, dtype) for k, shape in SHAPES.items()
    }
    assert same(delta, kept)
    assert lost["scale"] == 1
    if rule.error_feedback:
        for k, t in delta.items():
            wanted = t + lost.get(k, torch.zeros(()))
            assert torch.allclose(first.delta[k] + first.residual[k], wanted, atol=1e-6)


@pytest.mark.parametrize("name", COMPRESSIONS)
def test_compression_keeps_zero_and_does_not_hide_what_is_not_finite(name: str) -> None:
    rule, drawn = made("compression", name), torch.Generator()
    zero = compress(rule, {"w": torch.zeros(4)}, {}, drawn)
    assert zero.delta["w"].tolist() == [0.0] * 4
    assert not any(bool(t.any()) for t in zero.residual.values())
    for bad in (float("nan"), float("inf"), float("-inf")):
        got = compress(rule, {"w": torch.tensor([0.5, bad, -2.0, 1.0])}, {}, drawn).delta["w"]
        assert not bool(torch.isfinite(got).all())


@pytest.mark.parametrize("name", PERSONALS)
def test_what_a_personal_rule_keeps_is_not_sent_and_is_what_is_evaluated(name: str) -> None:
    rule, local, network = made("personal", name), made("local", "sgd"), Normalised()
    weights, data = weights_of(network), rows(20, 3)
    kept = {k: t.clone() for k, t in weights.items()}
    own_names = rule.names(network)
    assert own_names <= weights.keys()

    def trained(seed: int) -> tuple[Weights, Weights]:
        given = task(network, weights, data, 3, seed, own=own_names)
        result, own = rule.train(local, given, {})
        return result.delta | result.buffers, own

    (delta, own), again = trained(1), trained(1)
    assert same(delta, again[0])
    assert same(own, again[1])
    assert same(weights, kept)
    assert delta.keys() == {k for k, t in weights.items() if t.is_floating_point()} - own_names
    assert own_names <= own.keys() <= weights.keys()
    assert not own or not same(own, {k: weights[k] for k in own})
    seen = rule.model(weights, own)
    assert seen.keys() == weights.keys()
    assert all(torch.equal(seen[k], own.get(k, weights[k])) for k in seen)
    if rule.tunes:
        tuned = rule.tune(local, task(network, weights, data, 3, own=own_names))
        assert {k: t.dtype for k, t in tuned.items()} == {k: weights[k].dtype for k in tuned}
        assert not same(tuned, {k: weights[k] for k in tuned})


@pytest.mark.parametrize("rounds", [1, 2, 7, 100])
@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_gives_a_positive_finite_factor_of_round_and_rounds(
    name: str, rounds: int
) -> None:
    first, second = (
        [made("schedule", name).factor(r, rounds) for r in range(1, rounds + 1)] for _ in range(2)
    )
    assert first == second
    assert all(isinstance(f, float) and 0 < f <= 1 for f in first)
    assert first[0] == 1.0


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
