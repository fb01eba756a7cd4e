"""Hospitals that differ: where each algorithm ends on quadratics, and its rounds in numpy."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from federated.algorithm import Algorithm, compose
from tests.federated.quadratic import Array, Hospital, federate, hospitals, optimum, sites, start
from tests.federated.quadratic import vector as flat

LR, STEPS = 0.02, 8
W = flat(start())


def composed(name: str, **local: Any) -> Algorithm:
    """Full batches and several local steps."""
    return compose(name, {"local": {"lr": LR, "steps": STEPS, "batch_size": None} | local})


def everyone(rounds: int, count: int = 4) -> list[list[int]]:
    return [list(range(count))] * rounds


def pairs(rounds: int) -> list[list[int]]:
    """Two of four hospitals a round."""
    drawn = np.random.default_rng(0)
    return [sorted(drawn.permutation(4)[:2].tolist()) for _ in range(rounds)]


def settled(name: str, cohorts: Sequence[Sequence[int]], **local: Any) -> Array:
    rules = composed(name, **local)
    return federate(rules, sites(hospitals(), rules), start(), cohorts)[-1]


# -- where they end


def contraction(h: Hospital, steps: int, lr: float = LR) -> Array:
    """I - (I - ηH)^K: the part of the way to b_i that K steps go."""
    return np.eye(3) - np.linalg.matrix_power(np.eye(3) - lr * h.hessian, steps)


def fixed_point(all_: Sequence[Hospital], p: Sequence[float], parts: Sequence[Array]) -> Array:
    """Σ p_i P_i (b_i - w) = 0."""
    total = sum(c * part for c, part in zip(p, parts, strict=True))
    pulls = sum(c * m @ h.best for c, m, h in zip(p, parts, all_, strict=True))
    return np.linalg.solve(total, pulls)


def test_fedavg_ends_beside_the_pooled_optimum() -> None:
    rows = (8, 12, 20, 16)
    all_ = hospitals(rows)
    rules = composed("fedavg")
    end = federate(rules, sites(all_, rules), start(), everyone(150))[-1]
    closed = fixed_point(all_, rows, [contraction(h, STEPS) for h in all_])
    assert end == pytest.approx(closed, abs=1e-7)
    assert np.linalg.norm(end - optimum(all_, rows)) > 0.1
    one = composed("fedavg", steps=1, lr=0.08)  # one step a round is pooled gradient descent
    end = federate(one, sites(all_, one), start(), everyone(250))[-1]
    assert end == pytest.approx(optimum(all_, rows), abs=1e-4)


def test_fedprox_ends_nearer_but_still_beside_it() -> None:
    gaps = [
        float(np.linalg.norm(settled("fedprox", everyone(100), mu=mu) - optimum(hospitals())))
        for mu in (0.0, 1.0, 20.0)
    ]
    assert gaps[0] > gaps[1] > gaps[2] > 1e-3


@pytest.mark.parametrize("cohorts", [everyone(120), pairs(240)], ids=["full", "partial"])
@pytest.mark.parametrize("option", [1, 2])
def test_scaffold_ends_at_the_pooled_optimum(option: int, cohorts: list[list[int]]) -> None:
    end = settled("scaffold", cohorts, option=option)
    assert end == pytest.approx(optimum(hospitals()), abs=1e-4)


TRAINING = (8, 12, 40, 16)


@pytest.mark.parametrize("cohorts", [everyone(120), pairs(240)], ids=["full", "partial"])
@pytest.mark.parametrize("weighted_by", ["examples", "hospitals"])
@pytest.mark.parametrize(("name", "more"), [("scaffold", {}), ("feddyn", {"alpha": 2.0})])
def test_what_corrects_drift_weighs_as_the_updates_do(
    name: str, more: dict[str, float], weighted_by: str, cohorts: list[list[int]]
) -> None:
    all_ = hospitals(TRAINING)
    local = {"lr": LR, "steps": STEPS, "batch_size": None} | more
    rules = compose(name, {"local": local, "aggregation": {"weighted_by": weighted_by}})
    end = federate(rules, sites(all_, rules), start(), cohorts)[-1]
    best = {k: optimum(all_, w) for k, w in (("examples", TRAINING), ("hospitals", None))}
    assert np.linalg.norm(best["examples"] - best["hospitals"]) > 0.05
    assert end == pytest.approx(best[weighted_by], abs=2e-3)


@pytest.mark.parametrize("cohorts", [everyone(40), pairs(80)], ids=["full", "partial"])
def test_feddyn_ends_at_the_pooled_optimum(cohorts: list[list[int]]) -> None:
    end = settled("feddyn", cohorts, alpha=4.0)
    assert end == pytest.approx(optimum(hospitals()), abs=1e-4)


def test_fedavg_of_two_hospitals_a_round_never_settles() -> None:
    # what SCAFFOLD and FedDyn above do with the same cohorts
    rules = composed("local_sgd")
    seen = federate(rules, sites(hospitals(), rules), start(), pairs(100))
    assert np.ptp(np.array(seen[-30:]), axis=0).max() > 0.1


# -- unequal work


UNEQUAL = hospitals((12, 24, 12, 12))
ROWS, WORK = np.array([12, 24, 12, 12]), (1, 2, 4, 8)


def unequal(name: str, momentum: float, rounds: int) -> list[Array]:
    rules = composed(name, lr=0.002, steps=8, momentum=momentum)
    members = sites(UNEQUAL, rules)
    return federate(rules, members, start(), everyone(rounds), WORK)


@pytest.mark.parametrize("momentum", [0.0, 0.6])
def test_fednova_is_unbiased_where_fedavg_is_drawn_to_who_works_more(momentum: float) -> None:
    best = optimum(UNEQUAL, ROWS.tolist())
    gaps = [np.linalg.norm(unequal(n, momentum, 200)[-1] - best) for n in ("fedavg", "fednova")]
    assert gaps[0] > 0.5
    assert gaps[1] < 0.07  # what is left falls with the step size


def test_fednova_against_its_equation() -> None:
    p, tau, w = ROWS / ROWS.sum(), np.array(WORK), W
    for got in unequal("fednova", 0.0, 3):
        moves = [
            contraction(h, k, 0.002) @ (h.best - w) / k for h, k in zip(UNEQUAL, WORK, strict=True)
        ]
        w = w + (p @ tau) * (p @ np.array(moves))
        assert got == pytest.approx(w, abs=1e-9)


# -- fairness


def test_more_q_helps_the_worst_hospital() -> None:
    all_ = hospitals((12, 12, 12))
    losses = []
    for q in (0.0, 1.0, 5.0):
        given = {"lr": 0.1, "steps": 1, "batch_size": None}
        rules = compose("qfedavg", {"local": given, "aggregation": {"q": q, "lr": 0.1}})
        end = federate(rules, sites(all_, rules), start(), everyone(200, 3))[-1]
        losses.append([h.loss(end) for h in all_])
    worst = [max(each) for each in losses]
    assert worst[0] > 1.05 * worst[1] > 1.05 * worst[2]
    assert np.std(losses[0]) > np.std(losses[1]) > np.std(losses[2])
    assert np.mean(losses[0]) < np.mean(losses[2])  # what it costs


def test_weights_go_from_hospital_to_hospital() -> None:
    all_, rules = hospitals(), composed("cyclic")
    order = [2, 0, 3, 1, 2, 0]
    seen = federate(rules, sites(all_, rules), start(), [[i] for i in order])
    w = W
    for i, got in zip(order, seen, strict=True):
        w = w + contraction(all_[i], STEPS) @ (all_[i].best - w)
        assert got == pytest.approx(w, abs=1e-8)


# -- three rounds as the papers write them


COHORTS = [[0, 2], [1, 2, 3], [0, 1], [2, 3]]


@pytest.mark.parametrize("option", [1, 2])
def test_scaffold_against_algorithm_1(option: int) -> None:
    """Karimireddy et al. 2020, algorithm 1, line by line."""
    all_, eta_g, n = hospitals(), 0.8, 4
    x, c = W.copy(), np.zeros(3)
    c_i, expected = np.zeros((n, 3)), []
    for cohort in COHORTS:
        delta_y, delta_c = [], []
        for i in cohort:
            y = x.copy()
            for _ in range(STEPS):
                y = y - LR * (all_[i].gradient(y) - c_i[i] + c)
            plus = all_[i].gradient(x) if option == 1 else c_i[i] - c + (x - y) / (STEPS * LR)
            delta_y.append(y - x)
            delta_c.append(plus - c_i[i])
            c_i[i] = plus
        x = x + eta_g * np.mean(delta_y, axis=0)
        c = c + len(cohort) / n * np.mean(delta_c, axis=0)
        expected.append(x)
    local = {"lr": LR, "steps": STEPS, "batch_size": None, "option": option}
    rules = compose("scaffold", {"local": local, "server": {"lr": eta_g}})
    got = federate(rules, sites(all_, rules), start(), COHORTS)
    assert np.array(got) == pytest.approx(np.array(expected), abs=1e-6)


def test_feddyn_against_algorithm_1() -> None:
    """Acar et al. 2021, algorithm 1, its inner minimum by the same gradient steps."""
    all_, alpha, m = hospitals(), 0.7, 4
    theta, h = W.copy(), np.zeros(3)
    memory, expected = np.zeros((m, 3)), []
    for cohort in COHORTS:
        models = []
        for k in cohort:
            t = theta.copy()
            for _ in range(STEPS):
                t = t - LR * (all_[k].gradient(t) - memory[k] + alpha * (t - theta))
            memory[k] = memory[k] - alpha * (t - theta)
            models.append(t)
        h = h - alpha / m * np.sum([t - theta for t in models], axis=0)
        theta = np.mean(models, axis=0) - h / alpha
        expected.append(theta)
    rules = composed("feddyn", alpha=alpha)
    got = federate(rules, sites(all_, rules), start(), COHORTS)
    assert np.array(got) == pytest.approx(np.array(expected), abs=1e-6)
