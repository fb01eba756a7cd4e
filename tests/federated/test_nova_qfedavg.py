"""FedNova and q-FedAvg: by hand, against numpy, and for what they are meant for."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from federated.aggregation.mean import Mean
from federated.aggregation.nova import Nova
from federated.aggregation.qfedavg import Qfedavg
from federated.errors import ConfigError, UpdateError
from federated.local._displacement import displacement
from federated.plugins import create
from federated.types import Update
from tests.federated.make import update


def normalised(name: str, values: list[float], work: float, examples: int = 1) -> Update:
    return update(name, values, examples, normaliser=work)


def lossy(name: str, values: list[float], loss: float, examples: int = 1) -> Update:
    return update(name, values, examples, loss_before=loss)


# -- FedNova


def test_nova_by_hand() -> None:
    updates = [normalised("a", [6.0], 2.0, 1), normalised("b", [4.0], 4.0, 3)]
    # τ_eff = 2/4 + 4·3/4 = 3.5; normalised 3 and 1: 3/4 + 3/4 = 1.5
    assert Nova().aggregate(updates)["w"].tolist() == [5.25]
    # τ_eff = 3; (3 + 1) / 2 = 2
    assert Nova(weighted_by="hospitals").aggregate(updates)["w"].tolist() == [6.0]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("weighted_by", ["examples", "hospitals"])
def test_nova_against_numpy(weighted_by: Any, seed: int) -> None:
    drawn = np.random.default_rng(seed)
    u = drawn.normal(size=(6, 4)).astype(np.float32)
    a, n = drawn.uniform(0.3, 40, size=6), drawn.integers(1, 300, size=6)
    p = n / n.sum() if weighted_by == "examples" else np.full(6, 1 / 6)
    expected = (p * a).sum() * ((p / a)[:, None] * u).sum(axis=0)
    updates = [normalised(f"h{i}", u[i].tolist(), a[i], int(n[i])) for i in range(6)]
    got = Nova(weighted_by=weighted_by).aggregate(updates)["w"]
    assert got.dtype == torch.float64
    assert got.numpy() == pytest.approx(expected, abs=1e-8)


def test_with_equal_work_nova_is_the_mean() -> None:
    updates = [normalised("a", [1.0, 2.0], 8.0, 1), normalised("b", [3.0, 6.0], 8.0, 3)]
    assert torch.equal(Nova().aggregate(updates)["w"], Mean().aggregate(updates)["w"])


def test_nova_is_not_drawn_to_who_takes_more_steps() -> None:
    # ½(w - c)² at c = 0 and c = 1, one step of 0.001 against fifty: the optimum is ½
    centres, steps, lr = (0.0, 1.0), (1, 50), 1e-3

    def settled(rule: Any) -> float:
        w = 0.2
        for _ in range(3000):
            updates = [
                normalised(f"h{i}", [((1 - lr) ** k - 1) * (w - c)], float(k))
                for i, (c, k) in enumerate(zip(centres, steps, strict=True))
            ]
            w += float(rule.aggregate(updates)["w"])
        return w

    assert settled(Nova()) == pytest.approx(0.5, abs=0.01)
    assert settled(Mean()) == pytest.approx(50 / 51, abs=0.01)  # the step counts weigh


@pytest.mark.parametrize(("momentum", "mu"), [(0.0, 5.0), (0.9, 0.0), (0.9, 5.0)])
def test_nova_is_not_drawn_to_more_work_with_momentum_and_a_proximal_term(
    momentum: float, mu: float
) -> None:
    # ½(w - c)² at c = 0 and c = 1, two steps against ninety; with both, a_ij falls below 0
    lr, steps = 1e-3, (2, 90)

    def moved(w: float, c: float, count: int) -> float:
        theta, velocity = w, 0.0
        for _ in range(count):
            velocity = momentum * velocity + (theta - c) + mu * (theta - w)
            theta -= lr * velocity
        return theta - w

    def settled(rule: Any) -> float:
        w = 0.2
        for _ in range(800):
            updates = [
                normalised(
                    f"h{i}", [moved(w, float(i), k)], displacement(k, lr, momentum, False, mu)
                )
                for i, k in enumerate(steps)
            ]
            w += float(rule.aggregate(updates)["w"])
        return w

    assert settled(Nova()) == pytest.approx(0.5, abs=0.08)
    assert settled(Mean()) > 0.9


def test_nova_refuses_work_that_is_none() -> None:
    good = normalised("a", [1.0], 2.0)
    with pytest.raises(ValueError, match="hospital 'b' sends no 'normaliser'"):
        Nova().aggregate([good, update("b", [1.0])])
    for bad in (0, -1.0, math.nan, math.inf):
        with pytest.raises(UpdateError, match=f"hospital 'b', round 1: its 'normaliser' is {bad}"):
            Nova().aggregate([good, normalised("b", [1.0], bad)])


# -- q-FedAvg


def test_qfedavg_by_hand() -> None:
    # L = 2: Δw = -2, -6; F·Δw = -2, -12; h = 4 + 2·1, 36 + 2·2; step 14/46
    updates = [lossy("a", [1.0], 1.0, 5), lossy("b", [3.0], 2.0, 9)]
    got = Qfedavg(q=1.0, lr=0.5).aggregate(updates)["w"]
    assert got.tolist() == pytest.approx([14 / 46], abs=1e-15)
    assert got.dtype == torch.float64


@pytest.mark.parametrize("q", [0.0, 0.1, 0.5, 1.0, 2.0, 5.0])
@pytest.mark.parametrize("seed", range(3))
def test_qfedavg_against_algorithm_2(q: float, seed: int) -> None:
    drawn = np.random.default_rng(seed)
    u = drawn.normal(size=(6, 4)).astype(np.float32)
    losses, lipschitz = drawn.uniform(0.05, 3, size=6), 1 / 0.05
    w = drawn.normal(size=4)
    numerator, denominator = np.zeros(4), 0.0
    for i in range(6):
        delta_w = lipschitz * (w - (w + u[i].astype(np.float64)))
        numerator += losses[i] ** q * delta_w
        denominator += q * losses[i] ** (q - 1) * float(delta_w @ delta_w)
        denominator += lipschitz * losses[i] ** q
    expected = (w - numerator / denominator) - w
    updates = [lossy(f"h{i}", u[i].tolist(), losses[i]) for i in range(6)]
    got = Qfedavg(q=q, lr=0.05).aggregate(updates)["w"].numpy()
    assert got == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("losses", [(0.2, 5.0, 1.0), (0.0, 0.0, 0.0)])
def test_without_q_it_is_the_plain_mean(losses: tuple[float, ...]) -> None:
    values = [[0.1, -4.0], [2.5, 7.0], [0.4, 1.0]]
    updates = [lossy(h, v, f, 9) for h, v, f in zip("abc", values, losses, strict=True)]
    plain = Mean(weighted_by="hospitals").aggregate(updates)["w"]
    exact = np.mean(np.array(values, dtype=np.float32).astype(np.float64), axis=0)
    got = Qfedavg(q=0.0, lr=0.01).aggregate(updates)["w"].numpy()
    assert got == pytest.approx(exact, abs=1e-12)
    assert got == pytest.approx(plain.numpy(), abs=1e-10)


def test_the_worse_hospital_counts_more_with_more_q() -> None:
    updates = [lossy("good", [0.01], 0.1), lossy("bad", [-0.01], 1.0)]
    steps = [float(Qfedavg(q=q, lr=1.0).aggregate(updates)["w"]) for q in (0.0, 0.5, 1.0, 3.0)]
    assert steps[0] == 0.0
    assert steps == sorted(steps, reverse=True)
    assert steps[-1] < -0.0095


def test_equal_updates_are_shortened_by_the_step_size_of_the_algorithm() -> None:
    # u / (1 + q·L·‖u‖²/F) = [3, 4] / (1 + 2·10·25/5)
    updates = [lossy(h, [3.0, 4.0], 5.0) for h in "abc"]
    got = Qfedavg(q=2.0, lr=0.1).aggregate(updates)["w"].tolist()
    assert got == pytest.approx([3 / 101, 4 / 101], abs=1e-15)


@pytest.mark.parametrize("q", [0.0, 0.5, 1.0, 40.0])
def test_no_loss_and_no_update_of_zero_give_nan(q: float) -> None:
    rule = Qfedavg(q=q)
    zero = [lossy("a", [0.0, 0.0], 0.0), lossy("b", [0.0, 0.0], 0.0)]
    assert rule.aggregate(zero)["w"].tolist() == [0.0, 0.0]
    perfect = [lossy("a", [1.0, 0.0], 0.0), lossy("b", [0.0, 1.0], 0.0)]
    assert bool(torch.isfinite(rule.aggregate(perfect)["w"]).all())
    large = [lossy("a", [1.0, 0.0], 1e30), lossy("b", [0.0, 1.0], 1e-30)]
    assert bool(torch.isfinite(rule.aggregate(large)["w"]).all())


def test_a_hospital_of_no_loss_is_counted_with_the_least_one() -> None:
    # F = 1e-10 stands for 0; r = 1 and 1: -> (1 + 1) / (2 + 2·1e10)
    updates = [lossy("a", [1.0], 0.0), lossy("b", [1.0], 1e-10)]
    got = float(Qfedavg(q=1.0, lr=1.0).aggregate(updates)["w"])
    assert got == pytest.approx(1 / (1 + 1e10), rel=1e-12)


def test_qfedavg_refuses_losses_that_are_none() -> None:
    good = lossy("a", [1.0], 2.0)
    with pytest.raises(ValueError, match="hospital 'b' sends no 'loss_before'"):
        Qfedavg().aggregate([good, update("b", [1.0])])
    for bad in (-1e-3, math.nan, math.inf):
        with pytest.raises(UpdateError, match="hospital 'b', round 1: its 'loss_before' is"):
            Qfedavg().aggregate([good, lossy("b", [1.0], bad)])
    for options in ({"q": -0.1}, {"lr": 0.0}):
        with pytest.raises(ConfigError, match="greater than"):
            create("federated.aggregation", "qfedavg", options, "algorithm.aggregation")


def test_rules_say_which_numbers_they_need() -> None:
    assert Nova.needs == {"normaliser"}
    assert Qfedavg.needs == {"loss_before"}
