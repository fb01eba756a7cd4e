"""The server's step: by hand, three rounds in numpy, and against torch's own optimisers."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from federated.errors import ConfigError
from federated.plugins import create
from federated.server.adagrad import Adagrad
from federated.server.adam import Adam
from federated.server.momentum import Momentum
from federated.server.sgd import Sgd
from federated.server.yogi import Yogi
from federated.types import Weights
from tests.federated.make import aggregated

ADAPTIVE = [Adagrad, Adam, Yogi]


def run(rule: Any, deltas: list[list[float]], start: float = 0.0) -> list[list[float]]:
    """The weights after each round, from `start`, in float64."""
    weights: Weights = {"w": torch.full((len(deltas[0]),), start, dtype=torch.float64)}
    state, seen = rule.init(weights), []
    for delta in deltas:
        step = {"w": torch.tensor(delta, dtype=torch.float64)}
        weights, state = rule.apply(weights, aggregated(step), state)
        seen.append(weights["w"].tolist())
    return seen


def drawn(rounds: int = 5) -> list[list[float]]:
    scale = np.array([1e-3, 0.1, 3.0])
    return (np.random.default_rng(0).normal(size=(rounds, 3)) * scale).tolist()


# -- by hand


def test_momentum_by_hand() -> None:
    # v = 1, then 0.5·1 + 2 = 2.5, then 1.25 - 1 = 0.25; w = 2v added up
    got = run(Momentum(lr=2.0, beta=0.5), [[1.0], [2.0], [-1.0]], start=10.0)
    assert got == [[12.0], [17.0], [17.5]]
    assert run(Momentum(beta=0.0), drawn()) == run(Sgd(), drawn())


def test_adagrad_by_hand() -> None:
    # τ = 1: v = 1 + 3 = 4, m = √3; then v = 4 + 5 = 9, m = √5
    got = run(Adagrad(lr=2.0, tau=1.0), [[math.sqrt(3)], [math.sqrt(5)]])
    first = 2 * math.sqrt(3) / (2 + 1)
    assert got == [pytest.approx([first]), pytest.approx([first + 2 * math.sqrt(5) / (3 + 1)])]


def test_adam_by_hand() -> None:
    # m = ½, v = ½·1 + ½·1 = 1: ½/(1 + 1); then m = ¼ + 3/2, v = ½ + 9/2
    got = run(Adam(lr=1.0, beta1=0.5, beta2=0.5, tau=1.0), [[1.0], [3.0]])
    assert got == [[0.25], pytest.approx([0.25 + 1.75 / (math.sqrt(5) + 1)])]


def test_yogi_by_hand() -> None:
    # v = 1 = Δ², stays: ½/(1 + 1); Δ² = 9 > v: v = 1 + 9/2; Δ² = 1 < v: v = 5.5 - 1/2
    got = run(Yogi(lr=1.0, beta1=0.5, beta2=0.5, tau=1.0), [[1.0], [3.0], [1.0]])
    second = 0.25 + 1.75 / (math.sqrt(5.5) + 1)
    third = second + (1.75 / 2 + 0.5) / (math.sqrt(5) + 1)
    assert got == [[0.25], pytest.approx([second]), pytest.approx([third])]


# -- numpy, from algorithm 2 of Reddi et al. 2021


def by_numpy(kind: str, deltas: list[list[float]], corrected: bool = False) -> list[list[float]]:
    eta, b1, b2, tau = 0.3, 0.8, 0.95, 0.01
    w, m = np.zeros(3), np.zeros(3)
    v = np.zeros(3) if corrected and kind != "adagrad" else np.full(3, tau * tau)
    seen = []
    for t, delta in enumerate(np.array(deltas), start=1):
        m = b1 * m + (1 - b1) * delta
        square = delta * delta
        if kind == "adagrad":
            v = v + square
        elif kind == "adam":
            v = b2 * v + (1 - b2) * square
        else:
            v = np.where(v > square, v - (1 - b2) * square, v + (1 - b2) * square)
        m_hat = m / (1 - b1**t) if corrected else m
        v_hat = v / (1 - b2**t) if corrected and kind != "adagrad" else v
        w = w + eta * m_hat / (np.sqrt(v_hat) + tau)
        seen.append(w.tolist())
    return seen


@pytest.mark.parametrize("corrected", [False, True])
@pytest.mark.parametrize("kind", ["adagrad", "adam", "yogi"])
def test_adaptive_servers_against_numpy(kind: str, corrected: bool) -> None:
    values = {"lr": 0.3, "beta1": 0.8, "tau": 0.01, "bias_correction": corrected}
    if kind != "adagrad":
        values["beta2"] = 0.95
    got = run(create("federated.server", kind, values, "server"), drawn())
    assert np.array(got) == pytest.approx(np.array(by_numpy(kind, drawn(), corrected)), abs=1e-12)


# -- torch's optimisers, with the gradient -Δ


def by_torch(make: Any, deltas: list[list[float]]) -> list[list[float]]:
    w = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    optimiser, seen = make([w]), []
    for delta in deltas:
        w.grad = -torch.tensor(delta, dtype=torch.float64)
        optimiser.step()
        seen.append(w.detach().tolist())
    return seen


@pytest.mark.parametrize(
    ("rule", "optimiser"),
    [
        (Momentum(lr=0.7, beta=0.6), lambda p: torch.optim.SGD(p, lr=0.7, momentum=0.6)),
        (
            Adam(lr=0.3, beta1=0.8, beta2=0.95, tau=0.01, bias_correction=True),
            lambda p: torch.optim.Adam(p, lr=0.3, betas=(0.8, 0.95), eps=0.01),
        ),
        (
            Adagrad(lr=0.3, tau=0.01),
            lambda p: torch.optim.Adagrad(p, lr=0.3, initial_accumulator_value=1e-4, eps=0.01),
        ),
    ],
    ids=["momentum", "adam", "adagrad"],
)
def test_servers_against_torch(rule: Any, optimiser: Any) -> None:
    expected = np.array(by_torch(optimiser, drawn()))
    assert np.array(run(rule, drawn())) == pytest.approx(expected, abs=1e-12)


# -- defaults, state, and which tensors


def test_the_papers_form_is_the_default() -> None:
    for cls in ADAPTIVE:
        assert (cls().bias_correction, cls().tau) == (False, 1e-3)
    assert (Adam().beta1, Adam().beta2) == (Yogi().beta1, Yogi().beta2) == (0.9, 0.99)
    assert Adagrad().beta1 == 0.0
    assert Momentum().beta == 0.9


@pytest.mark.parametrize("cls", ADAPTIVE)
def test_the_state_is_flat_float64_and_counts_rounds(cls: Any) -> None:
    weights: Weights = {
        "w": torch.ones(2, 3),
        "n.running_mean": torch.ones(2),
        "n.num_batches_tracked": torch.tensor(3),
    }
    rule = cls(tau=0.5)
    state = rule.init(weights)
    assert set(state) == {"m.w", "v.w", "m.n.running_mean", "v.n.running_mean", "t"}
    assert {t.dtype for t in state.values()} == {torch.float64}
    assert state["m.w"].tolist() == torch.zeros(2, 3).tolist()
    assert state["v.w"].tolist() == torch.full((2, 3), 0.25).tolist()
    assert float(state["t"]) == 0
    kept = {k: t.clone() for k, t in state.items()}
    step = {"w": torch.ones(2, 3).double()}  # running statistics are never in a step
    _, after = rule.apply(weights, aggregated(step), state)
    assert float(rule.apply(weights, aggregated(step), after)[1]["t"]) == 2
    assert set(after) == set(state)
    assert all(torch.equal(state[k], kept[k]) for k in kept)
    corrected = cls(tau=0.5, bias_correction=True).init(weights)
    assert bool(corrected["v.w"].any()) == (cls is Adagrad)


@pytest.mark.parametrize("rule", [Sgd(), Momentum(), *(cls() for cls in ADAPTIVE)])
def test_tensors_that_stay_at_the_hospitals_are_left_alone(rule: Any) -> None:
    weights: Weights = {"shared": torch.ones(2), "own": torch.ones(2)}
    state = rule.init(weights)
    step = {"shared": torch.ones(2).double()}
    after, new = rule.apply(weights, aggregated(step), state)
    assert after["own"].tolist() == [1.0, 1.0]
    assert after["shared"].tolist() != [1.0, 1.0]
    assert set(new) == set(state)
    assert all(torch.equal(new[k], state[k]) for k in state if k.endswith("own"))


def test_an_adaptive_server_gives_every_number_its_own_step() -> None:
    # after many equal rounds m/√v is the sign of Δ, whatever its size
    moved = np.diff(np.array(run(Adam(lr=0.1, tau=1e-9), [[1e-4, 5.0]] * 600)), axis=0)[-1]
    assert moved == pytest.approx([0.1, 0.1], rel=0.01)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("momentum", {"beta": 1.0}),
        ("momentum", {"lr": 0.0}),
        ("adam", {"beta1": 1.0}),
        ("adam", {"beta2": 1.0}),
        ("yogi", {"beta2": -0.1}),
        ("adagrad", {"tau": 0.0}),
        ("adagrad", {"beta1": 1.0}),
    ],
)
def test_options_out_of_range_are_refused(name: str, values: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=rf"algorithm\.server\.{next(iter(values))}: "):
        create("federated.server", name, values, "algorithm.server")
