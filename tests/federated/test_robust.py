"""Robust aggregation: by hand, against numpy written from the papers, and under attack."""

import math
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from federated import plugins
from federated.aggregation._krum import scores
from federated.aggregation.bulyan import Bulyan, mean_around_median, select
from federated.aggregation.centered_clipping import CenteredClipping
from federated.aggregation.geometric_median import GeometricMedian
from federated.aggregation.krum import Krum
from federated.aggregation.median import Median
from federated.aggregation.multi_krum import MultiKrum
from federated.aggregation.trimmed_mean import TrimmedMean
from federated.errors import ConfigError
from federated.types import Update
from tests.federated.make import update, updates_of

# rule → (times, plus): it needs n ≥ times·f + plus
LEAST = {
    "median": (2, 1),
    "trimmed_mean": (2, 1),
    "geometric_median": (2, 1),
    "centered_clipping": (10, 0),
    "krum": (2, 3),
    "multi_krum": (2, 3),
    "bulyan": (4, 3),
}


def rule(name: str, **values: Any) -> Any:
    return plugins.create("federated.aggregation", name, values, "algorithm.aggregation")


def result(made: Any, rows: Any) -> np.ndarray:
    values: np.ndarray = made.aggregate(updates_of(np.asarray(rows)))["w"].numpy()
    return values


def line(made: Any, **values: float) -> float:
    """The result for hospitals with one number each."""
    return float(made.aggregate([update(h, [float(x)]) for h, x in values.items()])["w"])


# -- how many faulty hospitals


@pytest.mark.parametrize(("name", "times", "plus"), [(k, *v) for k, v in LEAST.items()])
@pytest.mark.parametrize("f", [0, 1, 2, 3])
def test_too_few_updates_for_f_are_refused(name: str, times: int, plus: int, f: int) -> None:
    least = max(times * f + plus, 1)
    made, rows = rule(name, f=f), np.arange(2.0 * least).reshape(least, 2)
    assert made.tolerates(least) == made.tolerates(least + 5) == f
    assert result(made, rows).shape == (2,)
    why = rf"algorithm\.aggregation\.f: {name} with f = {f} needs at least {least} updates"
    with pytest.raises(ConfigError, match=rf"{why}, there are {least - 1};") as refused:
        made.tolerates(least - 1)
    assert ("lower f" in str(refused.value)) == (f > 0)
    if least > 1:
        with pytest.raises(ConfigError, match=why):
            made.aggregate(updates_of(rows[1:]))


@pytest.mark.parametrize(("name", "times", "plus"), [(k, *v) for k, v in LEAST.items()])
def test_without_f_it_is_as_many_as_n_allows(name: str, times: int, plus: int) -> None:
    made = rule(name)
    assert made.robust is True
    for n in range(max(plus, 1), 30):
        f = made.tolerates(n)
        assert times * f + plus <= n < times * (f + 1) + plus


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("name", ["krum", "multi_krum", "bulyan"])
def test_krum_needs_three_even_without_faulty_ones(name: str, n: int) -> None:
    with pytest.raises(ConfigError, match=f"f = 0 needs at least 3 updates, there are {n}; let"):
        rule(name).aggregate(updates_of(np.ones((n, 2))))


def test_a_negative_f_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"algorithm\.aggregation\.f: .*greater than or equal"):
        rule("krum", f=-1)


# -- by hand


def test_median_by_hand() -> None:
    assert line(Median(), a=100, b=1, c=2) == 2.0
    assert line(Median(), a=100, b=1, c=2, d=3) == 2.5
    assert line(Median(f=0), a=4) == 4.0


def test_trimmed_mean_by_hand() -> None:
    values = {"a": 100, "b": 0, "c": 1, "d": 6, "e": 2}
    assert line(TrimmedMean(f=1), **values) == 3.0  # (1 + 2 + 6) / 3
    assert line(TrimmedMean(f=2), **values) == 2.0
    assert line(TrimmedMean(f=0), **values) == pytest.approx(21.8)
    assert line(TrimmedMean(), **values) == 2.0
    assert line(TrimmedMean(), a=100, b=0, c=1, d=2) == 1.5


def test_krum_by_hand() -> None:
    # two nearest of five with f = 1: a 1+9, b 0.25+6.25, c 0.25+4, d 1+4; with one nearest b and
    # c would be equal, with three d would win
    values = {"a": 0, "b": 3.5, "c": 3, "d": 1, "e": 100}
    assert line(Krum(f=1), **values) == 3.0
    assert line(Krum(), **values) == 3.0
    assert line(Krum(f=0), **values) == 1.0


def test_krums_score_by_hand() -> None:
    points = np.array([0.0, 1.0, 3.0])
    squared = (points[:, None] - points) ** 2  # 0-1: 1, 1-3: 4, 0-3: 9
    assert scores(squared, 0).tolist() == [1.0, 1.0, 4.0]
    assert scores(squared, 1).tolist() == [1.0, 1.0, 4.0]  # n - f - 2 = 0, but at least one
    points = np.array([0.0, 1.0, 3.0, 7.0])
    squared = (points[:, None] - points) ** 2
    assert scores(squared, 0).tolist() == [10.0, 5.0, 13.0, 52.0]


def test_of_equal_scores_the_first_hospital_by_name_wins() -> None:
    # b and c have their neighbours equally near
    values = {"d": 3, "c": 1, "b": 2, "a": 0}
    assert line(Krum(f=0), **values) == 2.0
    assert line(Krum(f=0), **{"d": 3, "b": 1, "c": 2, "a": 0}) == 1.0
    assert line(MultiKrum(f=0, m=1), **values) == 2.0
    assert line(MultiKrum(f=0, m=3), **values) == 1.0  # a before d: (2 + 1 + 0) / 3
    assert line(MultiKrum(f=0, m=3), **{"a": 3, "c": 1, "b": 2, "d": 0}) == 2.0


def test_multi_krum_by_hand() -> None:
    values = {"a": 0, "b": 3.5, "c": 3, "d": 1, "e": 100}  # scores 10, 6.5, 4.25, 5, 18733.25
    assert line(MultiKrum(f=1, m=1), **values) == 3.0
    assert line(MultiKrum(f=1, m=2), **values) == 2.0
    assert line(MultiKrum(f=1, m=3), **values) == 2.5
    assert line(MultiKrum(f=1), **values) == 1.875  # m = n - f = 4
    assert line(MultiKrum(), **values) == 1.875


def test_multi_krum_averages_no_more_than_n_less_f() -> None:
    assert MultiKrum(f=1, m=4).tolerates(5) == 1
    with pytest.raises(ConfigError, match=r"aggregation\.m: .*f = 1 of 5 .* most 4 \(got 5\)"):
        MultiKrum(f=1, m=5).tolerates(5)
    with pytest.raises(ConfigError, match=r"aggregation\.m: "):
        MultiKrum(f=1, m=5).aggregate(updates_of(np.ones((5, 1))))


def test_bulyans_parts_by_hand() -> None:
    column = np.array([[11.0], [0.0], [2.0], [1.0], [10.0]])  # median 2
    assert mean_around_median(column, 3).tolist() == [1.0]
    assert mean_around_median(column, 1).tolist() == [2.0]
    tie = np.array([[4.0], [2.0], [0.0]])  # 0 and 4 are equally near: the smaller
    assert mean_around_median(tie, 2).tolist() == [1.0]
    points = np.array([100.0, 4.0, 1.0, 2.0, 0.0, 7.0, 8.0])
    squared = (points[:, None] - points) ** 2
    # four nearest: 2 (1+4+4+25 = 34); then three nearest of the other six: 4 (9+9+16 = 34);
    # then two nearest of five: 1 and 7 have 1+36 each, 0 has 1+49, 8 has 1+49
    assert select(squared, 1, 1) == [3]
    assert select(squared, 1, 2) == [1, 3]
    assert select(squared, 1, 3) == [1, 2, 3]


def test_bulyan_by_hand() -> None:
    # f = 0: all are chosen, all are averaged
    assert line(Bulyan(f=0), a=0, b=1, c=5) == 2.0
    # f = 1 of 7: five are chosen (2, 4, 1, then 0, then 7), of 0 1 2 4 7 the three nearest to 2
    values = {"a": 100, "b": 4, "c": 1, "d": 2, "e": 0, "f": 7, "g": 8}
    assert line(Bulyan(f=1), **values) == 1.0
    assert line(Bulyan(), **values) == 1.0


def test_geometric_median_by_hand() -> None:
    # an equilateral triangle: its centre
    triangle = [[0, 0], [2, 0], [1, math.sqrt(3)]]
    assert result(GeometricMedian(), triangle) == pytest.approx([1, math.sqrt(3) / 3], abs=1e-8)
    # a corner of more than 120 degrees is the median itself
    assert result(GeometricMedian(), [[0, 1], [9, 0], [-9, 0]]) == pytest.approx([0, 1], abs=1e-5)
    # the crossing of a square's diagonals, whatever their lengths
    assert result(GeometricMedian(), [[-1, 0], [9, 0], [0, 2], [0, -3]]) == pytest.approx(
        [0, 0], abs=1e-6
    )


def test_one_step_of_the_geometric_median_by_hand() -> None:
    # from the coordinate median (0, 0), β = 1/max(1, [0, 4, 3]): (1, 1) / (1 + 1/4 + 1/3)
    points = [[0, 0], [4, 0], [0, 3]]
    once = GeometricMedian(nu=1.0, iterations=1)
    assert result(once, points) == pytest.approx([12 / 19, 12 / 19], abs=1e-12)
    # it ends when a step is short: √(2·(12/19)²) ≈ 0.893 against the median distance 3
    for tolerance, same in ((0.29, False), (0.31, True)):
        made = GeometricMedian(nu=1.0, iterations=2, tolerance=tolerance)
        assert (result(made, points) == pytest.approx([12 / 19, 12 / 19], abs=1e-3)) is same


def test_centered_clipping_by_hand() -> None:
    values = {"a": 100, "b": 0, "c": 2}
    # from 0: (0 + 2 + 10) / 3 = 4, then 4 + (-4 - 2 + 10) / 3
    ten = CenteredClipping(tau=10.0, start="zero")
    assert line(ten, **values) == pytest.approx(4)
    assert line(replace(ten, iterations=2), **values) == pytest.approx(16 / 3)
    # from the median 2: 2 + (-2 + 0 + 10) / 3
    assert line(CenteredClipping(tau=10.0), **values) == pytest.approx(14 / 3)
    # the distances from 2 are 98, 2 and 0, their median 2: 2 + (-2 + 0 + 2) / 3
    assert line(CenteredClipping(), **values) == pytest.approx(2.0)
    assert line(CenteredClipping(start="zero"), **values) == pytest.approx(4 / 3)  # of 100, 0, 2
    assert line(CenteredClipping(), a=5, b=5, c=7) == 5.0  # τ = 0: only the start is left
    assert line(CenteredClipping(tau=1.0), **values) == pytest.approx(2.0)  # 2 + (-1 + 0 + 1) / 3
    assert line(CenteredClipping(tau=1e6), **values) == pytest.approx(34)
    assert result(CenteredClipping(start="zero", tau=5.0), [[6, 8]]).tolist() == [3, 4]


# -- against numpy code that shares nothing with theirs


def oracle_scores(rows: np.ndarray, f: int) -> list[float]:
    found = []
    for i, one in enumerate(rows):
        away = sorted(
            float(np.linalg.norm(one - other) ** 2) for j, other in enumerate(rows) if j != i
        )
        found.append(sum(away[: max(1, len(rows) - f - 2)]))
    return found


def oracle_krum(rows: np.ndarray, f: int) -> np.ndarray:
    best: np.ndarray = rows[int(np.argmin(oracle_scores(rows, f)))]
    return best


def oracle_multi_krum(rows: np.ndarray, f: int) -> np.ndarray:
    ranked = sorted(zip(oracle_scores(rows, f), range(len(rows)), strict=True))
    mean: np.ndarray = sum(rows[i] for _, i in ranked[: len(rows) - f]) / (len(rows) - f)
    return mean


def oracle_bulyan(rows: np.ndarray, f: int) -> np.ndarray:
    left, chosen = [*rows], []
    while len(chosen) < len(rows) - 2 * f:
        chosen.append(left.pop(int(np.argmin(oracle_scores(np.array(left), f)))))
    means = []
    for column in np.array(chosen).T:
        middle = np.median(column)
        near = sorted(column, key=lambda value: abs(value - middle))[: len(chosen) - 2 * f]
        means.append(np.mean(near))
    return np.array(means)


def oracle_trimmed_mean(rows: np.ndarray, f: int) -> np.ndarray:
    return np.array([np.mean(sorted(column)[f : len(column) - f]) for column in rows.T])


def oracle_clipping(rows: np.ndarray, f: int) -> np.ndarray:
    centre = np.array([sorted(column)[len(column) // 2] for column in rows.T])  # odd n
    for _ in range(3):
        moved = np.zeros_like(centre)
        for row in rows:
            away = row - centre
            moved += away * min(1.0, 1.5 / np.linalg.norm(away)) if np.any(away) else 0.0
        centre = centre + moved / len(rows)
    return centre


ORACLES: list[tuple[Any, Callable[[np.ndarray, int], np.ndarray]]] = [
    (Krum(), oracle_krum),
    (MultiKrum(), oracle_multi_krum),
    (Bulyan(), oracle_bulyan),
    (TrimmedMean(f=3), oracle_trimmed_mean),
    (CenteredClipping(tau=1.5, iterations=3), oracle_clipping),
]


@pytest.mark.parametrize(("made", "oracle"), ORACLES, ids=lambda x: type(x).__name__)
@pytest.mark.parametrize("n", [9, 11, 15])
@pytest.mark.parametrize("seed", range(6))
def test_rules_against_the_papers(made: Any, oracle: Any, n: int, seed: int) -> None:
    rows = np.random.default_rng(seed).standard_t(2, size=(n, 4))
    expected = oracle(rows, made.tolerates(n))
    assert result(made, rows) == pytest.approx(expected, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("n", [5, 8])
def test_geometric_median_minimises_the_sum_of_distances(n: int, seed: int) -> None:
    rows = np.random.default_rng(seed).standard_t(2, size=(n, 3))

    def total(v: np.ndarray) -> float:
        return float(np.linalg.norm(rows - v, axis=1).sum())

    found = result(GeometricMedian(iterations=2000, tolerance=1e-13), rows)
    best = minimize(total, rows.mean(axis=0), method="Nelder-Mead", options={"xatol": 1e-9})
    assert total(found) <= best.fun + n * 1e-6  # smoothing costs at most ν a hospital
    assert total(result(GeometricMedian(), rows)) <= best.fun * (1 + 1e-4)


# -- names and shapes


@pytest.mark.parametrize("name", LEAST)
def test_every_tensor_keeps_its_place_and_buffers_count(name: str) -> None:
    drawn = torch.Generator().manual_seed(0)
    shapes = {"layer.weight": (2, 3), "layer.bias": (2,), "norm.running_var": (1,), "scale": ()}
    updates = [
        Update(
            f"h{i}", 1, {k: torch.randn(s, generator=drawn) for k, s in shapes.items()}, 1, 1, 0.5
        )
        for i in range(7)
    ]
    got = rule(name).aggregate(updates)
    assert {k: tuple(t.shape) for k, t in got.items()} == shapes
    flat = np.stack(
        [np.concatenate([t.numpy().ravel() for t in u.delta.values()]) for u in updates]
    )
    joined = np.concatenate([t.numpy().ravel() for t in got.values()])
    assert joined == pytest.approx(result(rule(name), flat), abs=1e-12)
    # a hospital that lists its tensors in another order sends the same update
    turned = [replace(updates[3], delta=dict(reversed(updates[3].delta.items())))]
    again = rule(name).aggregate([*updates[:3], *turned, *updates[4:]])
    assert all(torch.equal(again[k], got[k]) for k in shapes)


def test_a_buffer_alone_can_make_an_update_an_outlier() -> None:
    updates = [
        Update(h, 1, {"w": torch.tensor([w]), "n.running_mean": torch.tensor([m])}, 1, 1, 0.5)
        for h, w, m in (("a", 1.0, 0.0), ("b", 1.1, 0.0), ("c", 1.05, 900.0), ("d", 1.2, 0.0))
    ]
    got = Krum(f=0).aggregate(updates)
    assert float(got["n.running_mean"]) == 0.0


@pytest.mark.parametrize("name", LEAST)
def test_hospitals_count_alike_whatever_their_size(name: str) -> None:
    rows = np.random.default_rng(1).normal(size=(7, 2))
    updates = updates_of(rows)
    sized = [replace(u, examples=10**i) for i, u in enumerate(updates)]
    assert torch.equal(rule(name).aggregate(sized)["w"], rule(name).aggregate(updates)["w"])


# -- properties

matrices = st.integers(3, 9).flatmap(
    lambda n: st.lists(
        st.lists(st.floats(-100, 100, width=16), min_size=3, max_size=3), min_size=n, max_size=n
    )
)


@pytest.mark.parametrize("name", LEAST)
@settings(max_examples=25, deadline=None)
@given(rows=matrices, shuffle=st.randoms())
def test_no_order_of_updates_changes_a_bit(
    name: str, rows: list[list[float]], shuffle: random.Random
) -> None:
    updates = updates_of(np.array(rows))
    first = rule(name).aggregate(updates)["w"]
    shuffle.shuffle(updates)
    assert torch.equal(rule(name).aggregate(updates)["w"], first)


@pytest.mark.parametrize("name", LEAST)
@settings(max_examples=25, deadline=None)
@given(rows=matrices, shift=st.integers(-8, 8), factor=st.sampled_from([0.25, 0.5, 2.0, 8.0]))
def test_a_shift_and_a_scale_of_all_updates_are_the_results(
    name: str, rows: list[list[float]], shift: int, factor: float
) -> None:
    # numbers of half precision: shifting and scaling rounds nothing, ties stay ties
    values = np.round(np.array(rows), 3) if name == "geometric_median" else np.round(rows)
    plain, scaled = rule(name), rule(name)
    if name == "centered_clipping":
        plain, scaled = replace(plain, tau=10.0), replace(plain, tau=10.0 * factor)
    if name == "geometric_median":
        scaled = replace(plain, nu=plain.nu * factor)
    expected = (result(plain, values) + shift) * factor
    assert result(scaled, (values + shift) * factor) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("name", [n for n in LEAST if n not in {"krum", "multi_krum", "bulyan"}])
@settings(max_examples=25, deadline=None)
@given(rows=matrices, shuffle=st.randoms())
def test_it_does_not_matter_who_sent_what(
    name: str, rows: list[list[float]], shuffle: random.Random
) -> None:
    values = np.array(rows)
    expected = result(rule(name), values)
    order = list(range(len(values)))
    shuffle.shuffle(order)
    assert result(rule(name), values[order]) == pytest.approx(expected, abs=1e-9)


# -- under attack

ATTACKS: dict[str, Callable[[np.ndarray, int], np.ndarray]] = {
    "far": lambda honest, f: np.full((f, honest.shape[1]), 1e6),
    "far and apart": lambda honest, f: np.eye(honest.shape[1])[np.arange(f) % 3] * -1e6,
    "opposite": lambda honest, f: np.tile(-50 * honest.mean(axis=0), (f, 1)),
    "one number": lambda honest, f: np.vstack([[*honest.mean(axis=0)[:-1], 1e6]] * f),
    "zero": lambda honest, f: np.zeros((f, honest.shape[1])),
}


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("name", [n for n in LEAST if n != "centered_clipping"])
@pytest.mark.parametrize("seed", range(3))
def test_f_arbitrary_updates_move_the_result_no_further_than_honest_ones(
    name: str, attack: str, seed: int
) -> None:
    n = 15
    f = rule(name).tolerates(n)
    assert f >= 3
    honest = 3 + np.random.default_rng(seed).uniform(-1, 1, size=(n - f, 3))
    rows = np.vstack([honest, ATTACKS[attack](honest, f)])
    got = result(rule(name), np.random.default_rng(seed).permutation(rows))
    if name in {"median", "trimmed_mean"} or attack.startswith(("far", "opposite")):
        slack = 3.0 if name == "geometric_median" else 1e-9
        assert (got >= honest.min(axis=0) - slack).all()
        assert (got <= honest.max(axis=0) + slack).all()
    # Lemma of the geometric median: within 2(n - f)/(n - 2f) radii; the others stay nearer
    centre = honest.mean(axis=0)
    radius = float(np.linalg.norm(honest - centre, axis=1).max())
    assert float(np.linalg.norm(got - centre)) <= radius * 2 * (n - f) / (n - 2 * f)


@pytest.mark.parametrize("name", ["median", "trimmed_mean"])
def test_one_more_faulty_hospital_than_f_breaks_it(name: str) -> None:
    rows = np.array([[0.0], [0.0], [0.0], [1e6], [1e6], [1e6], [1e6]])
    assert result(rule(name), rows)[0] == 1e6


@pytest.mark.parametrize("attack", ["far", "far and apart", "opposite"])
def test_a_faulty_hospital_moves_centered_clipping_by_tau_over_n(attack: str) -> None:
    honest = 3 + np.random.default_rng(0).uniform(-1, 1, size=(8, 3))
    made = CenteredClipping(tau=2.0, start="zero", iterations=1)
    rows = np.vstack([honest, np.zeros((2, 3))])
    attacked = np.vstack([honest, ATTACKS[attack](honest, 2)])
    moved = np.linalg.norm(result(made, attacked) - result(made, rows))
    assert 0 < moved <= 2 * 2.0 / 10 + 1e-12


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_by_default_the_radius_is_of_the_size_of_honest_distances(
    attack: str, scale: float
) -> None:
    honest = scale * (3 + np.random.default_rng(0).uniform(-1, 1, size=(18, 3)))
    made = CenteredClipping()
    assert made.tolerates(20) == 2
    rows = np.vstack([honest, ATTACKS[attack](honest / scale, 2) * scale])
    radius = float(np.linalg.norm(honest - np.median(honest, axis=0), axis=1).max())
    away = np.linalg.norm(result(made, rows) - np.median(rows, axis=0))
    assert away <= radius  # a fixed τ of 10 clips nothing at a scale of 1e-3, and all at 1e3
