"""What a hospital does in a round, against numpy loops and closed forms."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from federated.errors import ConfigError
from federated.initial import build
from federated.local._displacement import displacement
from federated.local.adamw import Adamw
from federated.local.dyn import Dyn
from federated.local.gradient import Gradient
from federated.local.proximal import Proximal
from federated.local.rep import Rep
from federated.local.scaffold import Scaffold
from federated.local.sgd import Sgd
from federated.types import Split, Weights
from federated.weights import add
from models.mlp import Mlp
from tests.federated import make
from tests.federated.quadratic import NAME, Array, Hospital, hospitals, start, task, vector

ONE = hospitals()[1]
W = vector(start())


def batches_of(count: int, size: int, steps: int) -> list[Array]:
    """As the hospital draws them: an epoch's permutation, cut into batches."""
    drawn, found = torch.Generator().manual_seed(1), []
    while len(found) < steps:
        order = torch.randperm(count, generator=drawn).numpy()
        found += [order[i : i + size] for i in range(0, count, size)]
    return found[:steps]


def gradients(hospital: Hospital, size: int, steps: int) -> list[Hospital]:
    """The hospital of each batch: its gradient is the batch's."""
    picks = batches_of(len(hospital.y), size, steps)
    return [Hospital(hospital.x[p], hospital.y[p]) for p in picks]


def batch_gradient(batch: Hospital, theta: Array) -> Array:
    return 2 * batch.x.T @ (batch.x @ theta - batch.y) / len(batch.y)


def numpy_sgd(
    batches: list[Hospital],
    theta: Array,
    lr: float,
    momentum: float = 0.0,
    nesterov: bool = False,
    decay: float = 0.0,
    clip: float | None = None,
    prox: float = 0.0,
    anchor: Array | None = None,
) -> tuple[Array, float]:
    """Sutskever et al. 2013's momentum as torch writes it; the end and the mean loss."""
    w, velocity, losses = theta.copy(), np.zeros_like(theta), []
    pulled = w if anchor is None else anchor
    for batch in batches:
        losses.append(batch.loss(theta))
        g = batch_gradient(batch, theta)
        if clip is not None:
            g = g * min(1.0, clip / np.linalg.norm(g))
        g = g + prox * (theta - pulled) + decay * theta
        velocity = momentum * velocity + g
        theta = theta - lr * (g + momentum * velocity if nesterov else velocity)
    return theta, float(np.mean(losses))


SOLVERS: list[dict[str, Any]] = [
    {},
    {"momentum": 0.9},
    {"momentum": 0.7, "nesterov": True},
    {"weight_decay": 0.4},
    {"clip": 0.5},
    {"clip": 1e6},
    {"momentum": 0.6, "nesterov": True, "weight_decay": 0.1, "clip": 2.0},
    {"nesterov": True},  # without momentum it means nothing
]


@pytest.mark.parametrize("size", [None, 5])
@pytest.mark.parametrize("solver", SOLVERS)
def test_sgd_against_numpy(solver: dict[str, Any], size: int | None) -> None:
    rule = Sgd(lr=0.02, batch_size=size, steps=7, **solver)
    result = rule.train(task(ONE, start(), rule.step_count(12)))
    given = {"decay" if k == "weight_decay" else k: v for k, v in solver.items()}
    end, loss = numpy_sgd(gradients(ONE, size or 12, 7), W, 0.02, **given)
    # torch clips by clip/(norm + 1e-6)
    assert vector(result.delta) == pytest.approx(end - W, abs=1e-6 if "clip" in solver else 1e-12)
    assert result.loss == pytest.approx(loss, rel=1e-6)
    assert (result.steps, result.state, result.tensors) == (7, {}, {})


def test_clipping_bounds_the_first_step() -> None:
    for clip in (0.25, 0.5):
        result = Sgd(lr=0.1, batch_size=None, clip=clip).train(task(ONE, start(), 1))
        assert np.linalg.norm(vector(result.delta)) == pytest.approx(0.1 * clip, rel=1e-5)


BATCHES = {1: 1, 12: 3, 13: 3, 14: 4}
"""Rows → batches of 4 in an epoch; the thirteenth row joins the third batch."""


@pytest.mark.parametrize("rows", BATCHES)
def test_steps_of_a_round_by_hand(rows: int) -> None:
    for cls in (Sgd, Proximal, Scaffold, Dyn, Rep, Adamw):
        assert cls(epochs=3, batch_size=4).step_count(rows) == 3 * BATCHES[rows]
        assert cls(epochs=3, batch_size=1).step_count(rows) == 3 * rows
        assert cls(epochs=3, batch_size=None).step_count(rows) == 3
        assert cls(epochs=3, steps=5, batch_size=4).step_count(rows) == 5
    assert Gradient().step_count(rows) == 1


RATED: list[Any] = [
    Sgd(lr=0.04, momentum=0.5, steps=4),
    Proximal(lr=0.04, mu=2.0, steps=4),
    Scaffold(lr=0.04, steps=4),
    Dyn(lr=0.04, alpha=2.0, steps=4),
    Adamw(lr=0.04, weight_decay=0.1, steps=4),
    Gradient(lr=0.04),
]


@pytest.mark.parametrize("rule", RATED, ids=lambda r: type(r).__name__)
def test_the_rate_scales_the_step_size(rule: Any) -> None:
    half = replace(rule, lr=0.02)
    steps = rule.step_count(12)
    slowed = rule.train(task(ONE, start(), steps, rate=0.5))
    expected = half.train(task(ONE, start(), steps))
    assert torch.equal(slowed.delta[NAME], expected.delta[NAME])
    assert not torch.equal(slowed.delta[NAME], rule.train(task(ONE, start(), steps)).delta[NAME])
    assert slowed.scalars == expected.scalars
    for kept in ("state", "tensors"):
        left, right = getattr(slowed, kept), getattr(expected, kept)
        assert left.keys() == right.keys()
        assert all(torch.equal(left[k], right[k]) for k in left)


# -- class weights


def logistic_gradient(theta: Array, x: Array, y: Array, weights: Array) -> Array:
    """∇ of Σ w_i l_i / Σ w_i, bias last."""
    error = weights * (1 / (1 + np.exp(-(x @ theta[:-1] + theta[-1]))) - y)
    return np.append(x.T @ error, error.sum()) / weights.sum()


@pytest.mark.parametrize("rule", [Sgd, Gradient, Scaffold, Adamw, Dyn, Proximal])
def test_balanced_classes_weigh_alike(rule: Any) -> None:
    # one row of class 1 among four: 4/(2·1) = 2 for it, 4/(2·3) = 2/3 for the others
    x = np.array([[1.0, 2.0], [0.5, -1.0], [-1.5, 0.3], [0.2, 0.8]])
    y = np.array([0, 0, 1, 0])
    network = nn.Sequential(nn.Flatten(), nn.Linear(2, 1)).double()
    weights = {"1.weight": torch.tensor([[0.3, -0.2]]).double(), "1.bias": torch.tensor([0.1])}
    weights = {k: t.double() for k, t in weights.items()}
    theta = np.array([0.3, -0.2, 0.1]).astype(np.float32).astype(np.float64)
    data = Split(torch.tensor(x), torch.tensor(y))
    for balanced, row_weights in (("balanced", [2 / 3, 2 / 3, 2, 2 / 3]), (None, [1.0] * 4)):
        kind = {} if rule is Gradient else {"batch_size": None, "steps": 1}
        made = rule(lr=0.1, class_weights=balanced, **kind)
        delta = made.train(make.task(network, weights, data, 1)).delta
        got = np.append(delta["1.weight"].numpy().ravel(), delta["1.bias"].numpy())
        gradient = logistic_gradient(theta, x, y, np.array(row_weights))
        expected = -0.1 * (np.sign(gradient) if rule is Adamw else gradient)
        assert got == pytest.approx(expected, abs=1e-7)


def test_balanced_weights_are_those_of_the_batchs_rows() -> None:
    data = make.rows(20, 2)
    x, y = data.features.double().numpy(), data.targets.numpy()
    network = nn.Sequential(nn.Flatten(), nn.Linear(2, 1))
    weights = {"1.weight": torch.tensor([[0.5, 0.25]]), "1.bias": torch.tensor([0.0])}
    theta = np.array([0.5, 0.25, 0.0])
    each = np.where(y == 1, 10 / (y == 1).sum(), 10 / (y == 0).sum())
    for pick in batches_of(20, 6, 5):
        theta = theta - 0.5 * logistic_gradient(theta, x[pick], y[pick], each[pick])
    rule = Sgd(lr=0.5, batch_size=6, steps=5, class_weights="balanced")
    delta = rule.train(make.task(network, weights, data, 5)).delta
    got = np.append(delta["1.weight"].numpy().ravel(), delta["1.bias"].numpy())
    assert got == pytest.approx(theta - [0.5, 0.25, 0.0], abs=1e-6)


def test_the_one_gradient_of_all_rows() -> None:
    result = Gradient(lr=0.25).train(task(ONE, start(), 1))
    assert vector(result.delta) == pytest.approx(-0.25 * ONE.gradient(W), abs=1e-12)
    assert result.loss == pytest.approx(ONE.loss(W), abs=1e-12)
    assert result.steps == 1


# -- AdamW


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"weight_decay": 0.3},
        {"beta1": 0.5, "beta2": 0.7, "eps": 0.1, "weight_decay": 0.05},
        {"clip": 0.5, "eps": 0.1},
    ],
)
def test_adamw_against_numpy(options: dict[str, float]) -> None:
    values = {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.0} | options
    b1, b2, eps, decay = (values[k] for k in ("beta1", "beta2", "eps", "weight_decay"))
    theta, m, v = W.copy(), np.zeros(3), np.zeros(3)
    for t, batch in enumerate(gradients(ONE, 5, 6), start=1):  # Loshchilov & Hutter, algorithm 2
        g = batch_gradient(batch, theta)
        g = g * min(1.0, options.get("clip", np.inf) / np.linalg.norm(g))
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        theta = theta * (1 - 0.05 * decay)
        theta = theta - 0.05 * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + eps)
    rule = Adamw(lr=0.05, batch_size=5, steps=6, **options)
    assert vector(rule.train(task(ONE, start(), 6)).delta) == pytest.approx(theta - W, abs=1e-6)


# -- FedProx


@pytest.mark.parametrize("solver", [{}, {"momentum": 0.8}, {"momentum": 0.5, "nesterov": True}])
@pytest.mark.parametrize("mu", [0.0, 0.5, 3.0])
def test_proximal_against_numpy(mu: float, solver: dict[str, Any]) -> None:
    rule = Proximal(lr=0.02, mu=mu, batch_size=5, steps=9, weight_decay=0.1, **solver)
    result = rule.train(task(ONE, start(), 9))
    end, loss = numpy_sgd(gradients(ONE, 5, 9), W, 0.02, decay=0.1, prox=mu, **solver)
    assert vector(result.delta) == pytest.approx(end - W, abs=1e-12)
    assert result.loss == pytest.approx(loss)


def test_an_anchor_is_pulled_towards_in_place_of_the_start() -> None:
    away = np.array([3.0, -1.0, 0.5])
    anchor = {NAME: torch.tensor(away)[None]}
    rule = Proximal(lr=0.02, mu=2.0, batch_size=None, steps=5)
    end, _ = numpy_sgd([ONE] * 5, W, 0.02, prox=2.0, anchor=away)
    got = rule.train(task(ONE, start(), 5, anchor=anchor)).delta
    assert vector(got) == pytest.approx(end - W, abs=1e-12)


def test_the_fixed_point_of_the_proximal_step() -> None:
    # H(θ - b) + μ(θ - w) = 0
    rule = Proximal(lr=0.05, mu=1.5, batch_size=None, steps=4000)
    end = W + vector(rule.train(task(ONE, start(), 4000)).delta)
    closed = np.linalg.solve(ONE.hessian + 1.5 * np.eye(3), ONE.hessian @ ONE.best + 1.5 * W)
    assert end == pytest.approx(closed, abs=1e-9)
    assert np.linalg.norm(end - W) < np.linalg.norm(ONE.best - W)


def test_the_fixed_point_of_the_dynamic_regulariser() -> None:
    # H(θ - b) - g + α(θ - w) = 0; and then the new g is the gradient at θ
    g = np.array([0.4, -2.0, 1.0])
    rule = Dyn(lr=0.05, alpha=1.5, batch_size=None, steps=4000)
    state = {NAME: torch.tensor(g)[None]}
    result = rule.train(task(ONE, start(), 4000, state=state))
    closed = np.linalg.solve(ONE.hessian + 1.5 * np.eye(3), ONE.hessian @ ONE.best + g + 1.5 * W)
    assert W + vector(result.delta) == pytest.approx(closed, abs=1e-9)
    assert vector(result.state) == pytest.approx(ONE.gradient(closed), abs=1e-8)
    assert vector(state) == pytest.approx(g)


# -- FedNova's normaliser


@pytest.mark.parametrize("tau", [1, 2, 7, 30])
def test_displacement_in_closed_form(tau: int) -> None:
    assert displacement(tau, 0.1) == tau
    for rho in (0.3, 0.9):
        closed = (tau - rho * (1 - rho**tau) / (1 - rho)) / (1 - rho)
        assert displacement(tau, 0.1, momentum=rho) == pytest.approx(closed, rel=1e-12)
    for lr, mu in ((0.1, 0.01), (0.3, 2.0)):
        closed = (1 - (1 - lr * mu) ** tau) / (lr * mu)
        assert displacement(tau, lr, proximal=mu) == pytest.approx(closed, rel=1e-12)


@pytest.mark.parametrize("tau", [1, 2, 9])
@pytest.mark.parametrize("mu", [0.0, 0.7])
@pytest.mark.parametrize(("momentum", "nesterov"), [(0.0, False), (0.8, False), (0.8, True)])
def test_displacement_as_torch_moves(momentum: float, nesterov: bool, mu: float, tau: int) -> None:
    lr, w = 0.2, 5.0
    theta = torch.tensor([w], dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.SGD([theta], lr=lr, momentum=momentum, nesterov=nesterov)
    for _ in range(tau):
        theta.grad = 1.0 + mu * (theta.detach() - w)
        optimiser.step()
    measured = (w - float(theta.detach())) / lr
    assert displacement(tau, lr, momentum, nesterov, mu) == pytest.approx(measured, rel=1e-12)


@pytest.mark.parametrize(
    ("rule", "sent"),
    [
        (Sgd(lr=0.1, steps=3), 3.0),
        (Sgd(lr=0.1, steps=3, momentum=0.5), 1 + 1.5 + 1.75),
        (Sgd(lr=0.1, steps=2, momentum=0.5, nesterov=True), 1.5 + 1.75),
        # the pull takes ημ = 0.2 of what was moved: 1, 0.8, 0.64
        (Proximal(lr=0.1, steps=3, mu=2.0), 2.44),
        (Proximal(lr=0.1, steps=3, mu=0.0), 3.0),
    ],
)
def test_the_normaliser_is_sent(rule: Any, sent: float) -> None:
    assert rule.gives == {"normaliser"}
    result = rule.train(task(ONE, start(), rule.step_count(12)))
    assert result.scalars == {"normaliser": pytest.approx(sent, abs=1e-12)}
    halved = rule.train(task(ONE, start(), rule.step_count(12), rate=0.5)).scalars
    pulled = (1 - 0.9**3) / 0.1 if getattr(rule, "mu", 0) else sent
    assert halved == {"normaliser": pytest.approx(pulled, abs=1e-12)}


# -- SCAFFOLD at one hospital


@pytest.mark.parametrize("option", [1, 2])
def test_scaffold_at_one_hospital_against_numpy(option: Any) -> None:
    c, own = np.array([0.5, -1.0, 0.25]), np.array([1.5, 0.0, -0.75])
    theta = W.copy()
    for batch in gradients(ONE, 5, 4):
        theta = theta - 0.02 * (batch_gradient(batch, theta) + 0.1 * theta - own + c)
    path = own - c + (W - theta) / (4 * 0.02)
    fresh = ONE.gradient(W) + 0.1 * W if option == 1 else path
    rule = Scaffold(lr=0.02, batch_size=5, steps=4, weight_decay=0.1, option=option)
    given = {"extra": {NAME: torch.tensor(c)[None]}, "state": {NAME: torch.tensor(own)[None]}}
    result = rule.train(task(ONE, start(), 4, **given))
    assert vector(result.delta) == pytest.approx(theta - W, abs=1e-12)
    assert vector(result.state) == pytest.approx(fresh, abs=1e-9)
    assert vector(result.tensors) == pytest.approx(fresh - own, abs=1e-9)


def test_scaffold_clips_the_losss_gradient_not_the_variates() -> None:
    c = np.array([5.0, 0.0, 0.0])
    gradient = ONE.gradient(W)
    step = -0.1 * (0.5 * gradient / np.linalg.norm(gradient) + c)
    rule = Scaffold(lr=0.1, batch_size=None, steps=1, clip=0.5)
    result = rule.train(task(ONE, start(), 1, extra={NAME: torch.tensor(c)[None]}))
    assert vector(result.delta) == pytest.approx(step, abs=1e-6)


def test_the_gradient_at_w_leaves_running_statistics_as_training_does() -> None:
    network = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 1))
    weights = {k: t.clone() for k, t in network.state_dict().items()}
    data = make.rows(16, 3)
    first, second = (
        Scaffold(option=o, batch_size=8).train(make.task(network, weights, data, 2)) for o in (1, 2)
    )
    for name in ("0.running_mean", "0.running_var"):
        assert torch.equal(first.buffers[name], second.buffers[name]), name
    assert torch.equal(first.delta["1.weight"], second.delta["1.weight"])


# -- FedRep


def test_fedrep_trains_the_head_and_then_the_body() -> None:
    network, data = build(Mlp(hidden=(4,)), (3,), 1, run_seed=1), make.rows(24, 3)
    weights = {k: t.clone() for k, t in network.state_dict().items()}
    head = frozenset({"3.weight", "3.bias"})
    rule = Rep(lr=0.2, batch_size=8, momentum=0.5, weight_decay=0.1, head_steps=5)
    result = rule.train(make.task(network, weights, data, 3, own=head))

    expected, drawn = weights, torch.Generator().manual_seed(1)
    for part, steps in ((head, 5), (weights.keys() - head, 3)):
        expected = only(part, expected, data, steps, drawn)
    for name, moved in result.delta.items():
        got = weights[name] + moved
        assert torch.allclose(got, expected[name], rtol=0, atol=1e-6), name
        assert bool(moved.any()), name
    assert result.steps == 3
    assert result.scalars["normaliser"] == 1 + 1.5 + 1.75
    assert rule.whole() == Sgd(lr=0.2, batch_size=8, momentum=0.5, weight_decay=0.1)


def only(part: Any, weights: Weights, data: Split, steps: int, drawn: torch.Generator) -> Weights:
    """Heavy-ball SGD with everything but `part` frozen."""
    network = build(Mlp(hidden=(4,)), (3,), 1, run_seed=1)
    network.load_state_dict(weights)
    picks: list[torch.Tensor] = []
    while len(picks) < steps:
        order = torch.randperm(len(data), generator=drawn)
        picks += [order[i : i + 8] for i in range(0, len(data), 8)]
    velocity = {name: torch.zeros_like(weights[name]) for name in part}
    for pick in picks[:steps]:
        network.zero_grad()
        logits = network(data.features[pick]).squeeze(1)
        nn.BCEWithLogitsLoss()(logits, data.targets[pick].float()).backward()
        with torch.no_grad():
            for name, parameter in network.named_parameters():
                if name in part:
                    assert parameter.grad is not None
                    velocity[name] = 0.5 * velocity[name] + parameter.grad + 0.1 * parameter
                    parameter -= 0.2 * velocity[name]
    return {name: t.detach().clone() for name, t in network.state_dict().items()}


def test_fedreps_head_takes_as_many_steps_as_the_body_unless_told() -> None:
    network, data = build(Mlp(hidden=(4,)), (3,), 1, run_seed=1), make.rows(24, 3)
    weights = {k: t.clone() for k, t in network.state_dict().items()}
    head = frozenset({"3.weight", "3.bias"})

    def trained(steps: int | None) -> Weights:
        rule = Rep(lr=0.2, batch_size=8, head_steps=steps)
        return add(weights, rule.train(make.task(network, weights, data, 4, own=head)).delta)

    same, four, five = trained(None), trained(4), trained(5)
    assert all(torch.equal(same[k], four[k]) for k in same)
    assert not torch.equal(same["3.bias"], five["3.bias"])


def test_fedrep_without_a_head_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"rep: no layer stays .* algorithm\.personal"):
        Rep().train(task(ONE, start(), 1))
