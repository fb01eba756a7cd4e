"""What stays at a hospital: not sent, kept in its state, and used by its evaluation."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from federated import plugins, states
from federated.algorithm import Algorithm, compose
from federated.errors import ConfigError
from federated.initial import build, weights_of
from federated.local.rep import Rep
from federated.local.sgd import Sgd
from federated.personal.ditto import Ditto
from federated.personal.finetune import Finetune
from federated.personal.layers import Layers
from federated.personal.norm import Norm
from federated.personal.shared import Shared
from federated.site import LocalSite, predict
from federated.types import Order, Split, Weights
from federated.weights import add
from models.logistic import Logistic
from models.mlp import Mlp
from tests.federated import make
from tests.federated.quadratic import Array, federate, hospitals, sites, start
from tests.federated.quadratic import task as quadratic
from tests.federated.quadratic import vector as flat

PERSONAL = plugins.names("federated.personal")
NORMED = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 1))
NORM_TENSORS = {f"1.{t}" for t in nn.BatchNorm1d(4).state_dict()}


def mlp() -> nn.Module:
    return build(Mlp(hidden=(4,)), (3,), 1, run_seed=1)


def of(network: nn.Module, rules: Algorithm) -> LocalSite:
    return replace(make.site("a", compose("fedavg", {})), network=network, algorithm=rules)


def body_and_head(**layers: Any) -> LocalSite:
    given: Any = {"local": {"lr": 0.5, "batch_size": 8}, "personal": layers}
    return of(mlp(), compose("fedper", given))


def same(left: Weights, right: Weights) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[k], right[k]) for k in left)


# -- which tensors


def test_layers_are_the_last_that_learns_unless_named() -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2), nn.Tanh(), nn.Flatten())
    assert Layers().names(network) == {"2.weight", "2.bias"}
    assert Layers(layers=("0",)).names(network) == {"0.weight", "0.bias"}
    nested = nn.Sequential(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)), nn.Linear(4, 2))
    assert Layers(layers=("0.1",)).names(nested) == {
        f"0.1.{t}" for t in nn.BatchNorm1d(4).state_dict()
    }
    assert len(Layers(layers=("0",)).names(nested)) == 2 + 5
    many = nn.Sequential(*[nn.Linear(2, 2) for _ in range(12)])
    assert Layers(layers=("1",)).names(many) == {"1.weight", "1.bias"}  # not 10 and 11
    assert Layers(layers=("1", "3")).names(many) == {
        f"{i}.{t}" for i in (1, 3) for t in ("weight", "bias")
    }


def test_layers_are_a_list_in_params() -> None:
    made = plugins.create("federated.personal", "layers", {"layers": ["1", "3"]}, "personal")
    assert made == Layers(layers=("1", "3"))


def test_unknown_layers_and_sharing_nothing_are_refused() -> None:
    network = mlp()
    with pytest.raises(ConfigError, match=r"personal\.layers: the model has no layer '7'; .*3"):
        Layers(layers=("3", "7")).names(network)
    with pytest.raises(ConfigError, match="nothing be shared; choose a model with more layers"):
        Layers(layers=("1", "3")).names(network)
    with pytest.raises(ConfigError, match="nothing be shared"):
        Layers().names(Logistic().build((3,), 1))
    with pytest.raises(ConfigError, match="no normalisation layer; choose resnet"):
        Norm().names(network)


def test_every_kind_of_normalisation_stays() -> None:
    kinds = [nn.BatchNorm2d(4), nn.GroupNorm(2, 4), nn.InstanceNorm2d(4, affine=True)]
    network = nn.Sequential(nn.Conv2d(1, 4, 3), *kinds, nn.Sequential(nn.LayerNorm(4)))
    expected = {f"{i}.{t}" for i, kind in enumerate(kinds, 1) for t in kind.state_dict()}
    assert Norm().names(network) == expected | {"4.0.weight", "4.0.bias"}
    for none in (Shared(), Ditto(), Finetune()):
        assert none.names(network) == frozenset()


# -- FedPer: the head stays


def test_what_stays_is_not_sent_and_survives() -> None:
    one = body_and_head()
    weights = weights_of(one.network)
    first = one.train(Order(1, weights), {})
    assert set(first.update.delta) == {"1.weight", "1.bias"}
    assert set(first.state) == {"personal/3.weight", "personal/3.bias"}

    # the whole trained model, by the same solver without a head
    whole = replace(one, algorithm=compose("fedavg", {"local": {"lr": 0.5, "batch_size": 8}}))
    expected = add(weights, whole.train(Order(1, weights), {}).update.delta)
    own = states.part(first.state, "personal")
    for name, t in (add(weights, first.update.delta) | own).items():
        assert torch.allclose(t, expected[name], rtol=0, atol=1e-6)

    # the next round starts from the own head, whatever the coordinator has there
    other = weights | {k: torch.full_like(weights[k], 9.0) for k in own}
    second = [one.train(Order(2, w, rate=0.5), first.state) for w in (weights, other)]
    assert same(second[0].update.delta, second[1].update.delta)
    assert same(second[0].state, second[1].state)
    assert not same(second[0].state, first.state)


def test_evaluation_and_loss_use_the_own_head() -> None:
    one = body_and_head()
    weights, test = weights_of(one.network), one.data.test
    state = one.train(Order(1, weights), {}).state
    mixed = weights | states.part(state, "personal")
    assert same(one.algorithm.personal.model(weights, states.part(state, "personal")), mixed)
    network = mlp()
    network.load_state_dict(mixed)
    logits = predict(network, test.features)[:, 0].double()
    loss = nn.functional.binary_cross_entropy_with_logits
    expected = float(loss(logits, test.targets.double()))
    assert one.evaluate(weights, state).test.metrics()["loss"] == pytest.approx(expected, abs=1e-6)
    assert one.evaluate(weights, {}).test.metrics()["loss"] != pytest.approx(expected, abs=1e-4)
    logits = predict(network, one.data.train.features)[:, 0].double()
    expected = float(loss(logits, one.data.train.targets.double()))
    assert one.loss(weights, state) == pytest.approx(expected, abs=1e-9)


def test_control_variates_of_what_stays_are_not_sent() -> None:
    rules = compose("scaffold", {"personal": {"name": "layers"}})
    one = of(mlp(), rules)
    trained = one.train(Order(1, weights_of(one.network)), {})
    assert set(trained.update.tensors) == {"1.weight", "1.bias"}


def test_fedrep_composes_with_the_head_of_the_layers() -> None:
    rules = compose("fedrep", {"local": {"lr": 0.5}})
    assert isinstance(rules.local, Rep)
    trained = of(mlp(), rules)
    after = trained.train(Order(1, weights_of(trained.network)), {})
    assert set(after.update.delta) == {"1.weight", "1.bias"}
    assert set(states.part(after.state, "personal")) == {"3.weight", "3.bias"}


# -- FedBN


def test_running_statistics_stay_with_the_norm() -> None:
    rules = compose("fedbn", {"local": {"lr": 0.1, "batch_size": None, "steps": 2}})
    one = of(NORMED, rules)
    weights = weights_of(one.network)
    first = one.train(Order(1, weights), {})
    assert set(first.update.delta) == {"0.weight", "0.bias", "3.weight", "3.bias"}
    own = states.part(first.state, "personal")
    assert set(own) == NORM_TENSORS
    assert int(own["1.num_batches_tracked"]) == 2

    # momentum 0.1, mean 0 at first: 0.1·m after the first batch, and m hardly moves
    hidden = nn.functional.linear(one.data.train.features, weights["0.weight"], weights["0.bias"])
    only = replace(one, algorithm=replace(rules, local=Sgd(lr=0.1, batch_size=None, steps=1)))
    mean = states.part(only.train(Order(1, weights), {}).state, "personal")["1.running_mean"]
    assert mean.tolist() == pytest.approx((0.1 * hidden.mean(0)).tolist(), abs=1e-6)

    second = one.train(Order(2, add(weights, first.update.delta)), first.state)
    assert int(states.part(second.state, "personal")["1.num_batches_tracked"]) == 4
    evaluated = one.model(weights, first.state).state_dict()
    assert same({k: evaluated[k] for k in own}, own)


# -- Ditto


def numpy_ditto(lam: float, rounds: int, local: int, mine: int) -> tuple[Array, Array]:
    """Li et al. 2021, algorithm 1, over full batches: global w and personal v [4, 3]."""
    all_, w = hospitals(), flat(start())
    v = np.tile(w, (4, 1))
    for _ in range(rounds):
        ends = []
        for i, h in enumerate(all_):
            theta = w.copy()
            for _ in range(local):
                theta = theta - 0.02 * h.gradient(theta)
            ends.append(theta)
            for _ in range(mine):
                v[i] = v[i] - 0.01 * (h.gradient(v[i]) + lam * (v[i] - w))
        w = np.mean(ends, axis=0)
    return w, v


def ditto(lam: float, rounds: int, steps: int | None = 3) -> tuple[Array, Array]:
    given: Any = {
        "local": {"lr": 0.02, "steps": 4, "batch_size": None},
        "personal": {"strength": lam, "lr": 0.01, "steps": steps, "batch_size": None},
    }
    rules = compose("ditto", given)
    members, kept = sites(hospitals(), rules), []

    class Watched:
        """A site whose last state can be looked at."""

        def __init__(self, site: LocalSite) -> None:
            self.site, self.state, self.rows = site, {}, site.rows

        def train(self, *order: Any) -> Any:
            trained = self.site.train(*order)
            self.state = trained.state
            return trained

    kept = [Watched(m) for m in members]
    seen = federate(rules, kept, start(), [[0, 1, 2, 3]] * rounds)  # type: ignore[arg-type]
    return seen[-1], np.array([flat(states.part(k.state, "personal")) for k in kept])


@pytest.mark.parametrize("steps", [None, 3])
def test_ditto_against_algorithm_1(steps: int | None) -> None:
    w, v = ditto(0.8, 3, steps)
    expected_w, expected_v = numpy_ditto(0.8, 3, local=4, mine=steps or 4)
    assert w == pytest.approx(expected_w, abs=1e-9)
    assert v == pytest.approx(expected_v, abs=1e-9)


def test_ditto_goes_from_local_training_to_the_global_model() -> None:
    # λ = 0: every hospital's own descent; λ large: v_i stays by the w it was pulled to
    _, alone = ditto(0.0, 150, 10)
    assert alone[2:] == pytest.approx(np.array([h.best for h in hospitals()])[2:], abs=1e-5)
    w, near = ditto(80.0, 60, 10)
    gaps = np.abs(near - w).max(axis=1)
    assert gaps.max() < 0.2 * np.abs(alone - w).max()


def test_dittos_own_model_is_what_is_evaluated_and_the_global_one_is_sent() -> None:
    plain = compose("fedavg", {"local": {"lr": 0.5, "batch_size": 8}})
    one = make.site("a", compose("ditto", {"local": {"lr": 0.5, "batch_size": 8}}))
    weights = weights_of(one.network)
    trained = one.train(Order(1, weights), {})
    assert same(
        trained.update.delta,
        replace(one, algorithm=plain).train(Order(1, weights), {}).update.delta,
    )
    own = states.part(trained.state, "personal")
    assert own.keys() == weights.keys()
    assert same(one.algorithm.personal.model(weights, own), own)
    zero = {k: torch.zeros_like(t) for k, t in weights.items()}
    assert one.evaluate(zero, trained.state).test.metrics() == one.evaluate(own, {}).test.metrics()
    again = one.train(Order(2, zero), trained.state)
    moved = replace(one, algorithm=plain).train(Order(2, zero), {}).update.delta
    assert same(again.update.delta, moved)  # the shared model starts from w, not from v


def test_dittos_clip_bounds_the_losss_gradient_not_the_pull() -> None:
    one = hospitals()[0]
    rule = Ditto(strength=3.0, lr=0.1, steps=1, batch_size=None, clip=0.5)
    shared = Sgd(lr=0.1, batch_size=None)
    result, first = rule.train(shared, quadratic(one, start(), 1), {})
    # v = w at first and nothing pulls: 0.1 · 0.5
    assert np.linalg.norm(flat(first) - flat(start())) == pytest.approx(0.05, rel=1e-5)
    assert same(result.delta, shared.train(quadratic(one, start(), 1)).delta)  # w is not clipped
    far = {k: t + 10.0 for k, t in start().items()}
    _, second = rule.train(shared, quadratic(one, start(), 1), far)
    gradient = one.gradient(flat(far))
    clipped = gradient * 0.5 / np.linalg.norm(gradient)
    assert flat(second) == pytest.approx(flat(far) - 0.1 * (clipped + 3.0 * 10.0), abs=1e-6)


@pytest.mark.parametrize(("balanced", "bias"), [("balanced", 0.0), (None, -0.125)])
def test_dittos_classes_weigh_alike_if_asked_for(balanced: Any, bias: float) -> None:
    # at 0 every row's error is ±1/2: 3 · 2/3 · 1/2 - 2 · 1/2 = 0, unweighted (3 - 1)/2 of 4 rows
    network = nn.Sequential(nn.Linear(1, 1))
    zero: Weights = {"0.weight": torch.zeros(1, 1), "0.bias": torch.zeros(1)}
    rows = Split(torch.tensor([[1.0], [2.0], [3.0], [4.0]]), torch.tensor([0, 0, 1, 0]))
    rule = Ditto(lr=0.5, batch_size=None, class_weights=balanced)
    _, own = rule.train(Sgd(batch_size=None), make.task(network, zero, rows, 1), {})
    assert own["0.bias"].item() == pytest.approx(bias, abs=1e-7)


# -- fine-tuning


@pytest.mark.parametrize("times", [1, 3])
def test_fine_tuning_is_local_training(times: int) -> None:
    local = {"lr": 0.5, "batch_size": 8, "epochs": 1}
    one = make.site("a", compose("finetune", {"local": local, "personal": {"times": times}}))
    weights = weights_of(one.network)
    assert one.algorithm.personal.tunes
    tuned = states.part(one.tune(Order(9, weights), {"residual/x": torch.ones(1)}), "personal")
    longer = replace(one, algorithm=compose("fedavg", {"local": local | {"epochs": times}}))
    trained = add(weights, longer.train(Order(9, weights), {}).update.delta)
    assert tuned.keys() == trained.keys()
    for name in trained:
        assert torch.allclose(tuned[name], trained[name], rtol=0, atol=1e-7)
    assert "residual/x" in one.tune(Order(9, weights), {"residual/x": torch.ones(1)})
    sent = one.train(Order(1, weights), {})
    assert set(sent.update.delta) == set(weights)
    assert sent.state == {}


def test_only_fine_tuning_tunes() -> None:
    for name in PERSONAL:
        assert plugins.find("federated.personal", name)().tunes == (name == "finetune")
