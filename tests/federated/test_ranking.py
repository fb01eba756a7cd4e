"""AUROC and AUPRC from histograms: exact at a hospital, close and bounded over several."""

from dataclasses import replace
from itertools import combinations, product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score

from federated.counts import merge
from federated.histograms import ONE, bins_of, limits, middles
from federated.objectives.classification import READING, ClassCounts, Classification
from federated.ranking import Ranks, Standing
from tests.federated.make import YES_NO

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def counted(logits: Floats, y: Ints, bins: int = 2000) -> ClassCounts:
    return YES_NO.count(torch.tensor(logits)[:, None], torch.tensor(y), bins, 15)


def rows(seed: int, n: int, prevalence: float, spread: float) -> tuple[Floats, Ints]:
    """Calibrated log-odds and outcomes; at least one row of each class."""
    drawn = np.random.default_rng(seed)
    logits = drawn.normal(np.log(prevalence / (1 - prevalence)) - spread**2 / 2, spread, n)
    y = (drawn.random(n) < 1 / (1 + np.exp(-logits))).astype(np.int64)
    y[:2] = (0, 1)
    return logits, y


CHANGES = {
    "as they are": lambda z: z,
    "x 20": lambda z: 20 * z,
    "+ 12": lambda z: z + 12,
    "- 12": lambda z: z - 12,
    "/ 50": lambda z: z / 50,
    "rounded": lambda z: np.round(z, 1),
    "all equal": lambda z: 0 * z,
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("prevalence", [0.0001, 0.002, 0.2])
def test_a_hospitals_figures_are_those_of_its_scores(prevalence: float, change: str) -> None:
    logits, y = rows(1, 4000, prevalence, 1.0)
    logits = CHANGES[change](logits)
    found = counted(logits, y).metrics()
    assert found["auroc"] == pytest.approx(roc_auc_score(y, logits), abs=1e-12)
    assert found["auprc"] == pytest.approx(average_precision_score(y, logits), abs=2**-31)
    assert found.bounds == {"auroc": 0, "auprc": 0}
    assert found.doubtful("auroc") is None


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize(("prevalence", "each"), [(0.0001, 20_000), (0.002, 4000), (0.2, 1000)])
def test_figures_of_all_hospitals_are_within_002(prevalence: float, each: int, change: str) -> None:
    drawn = [rows(seed, each, prevalence, 1.0) for seed in range(5)]
    parts = [counted(CHANGES[change](logits), y) for logits, y in drawn]
    logits, y = (np.concatenate(column) for column in zip(*drawn, strict=True))
    logits = CHANGES[change](logits)
    found = merge(parts).metrics()
    # within few bins it is the bound that must tell: around -21 a bin is .1 wide
    fine = {"/ 50"} if prevalence > 0.001 else {"/ 50", "- 12"}
    for name, exact in (
        ("auroc", roc_auc_score(y, logits)),
        ("auprc", average_precision_score(y, logits)),
    ):
        value = found[name]
        assert value is not None
        assert abs(value - exact) <= found.bounds[name] + 1e-9
        if change not in fine:
            assert value == pytest.approx(exact, abs=0.002)
    assert change != "/ 50" or found.doubtful("auroc") is not None


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(-6, 6), st.integers(0, 1), st.integers(0, 2)), min_size=2, max_size=60
    ),
    st.sampled_from([10, 50, 2000]),
)
def test_bounds_hold(cells: list[tuple[int, int, int]], bins: int) -> None:
    logits, y, owner = (np.array(column) for column in zip(*cells, strict=True))
    logits = logits / 3.0
    parts = [counted(logits[owner == i], y[owner == i], bins) for i in range(3)]
    assert all(part.consistent() for part in parts)
    merged = merge(parts)
    assert merged.consistent()
    found = merged.metrics()
    if len(set(y)) < 2:
        assert found.bounds == {}
        return
    for name, exact in (
        ("auroc", roc_auc_score(y, logits)),
        ("auprc", average_precision_score(y, logits)),
    ):
        value = found[name]
        assert value is not None
        assert abs(value - exact) <= found.bounds[name] + 1e-9
        own = found.interval(name)
        assert own is not None
        assert 0 <= own.low <= value + 1e-12
        assert value - 1e-12 <= own.high <= 1


def test_bound_by_hand() -> None:
    # Two hospitals of one row each, in one bin of 10: the one pair is open, AUROC 0, ½ or 1.
    one, other = (
        counted(np.array([0.1]), np.array([1]), 10),
        counted(np.array([0.2]), np.array([0]), 10),
    )
    found = merge([one, other]).metrics()
    assert (found["auroc"], found.bounds["auroc"]) == (0.5, 0.5)
    # the row of the class may be the first or the second of both: 1 or ½, on average ¾
    assert (found["auprc"], found.bounds["auprc"]) == (0.75, 0.25)
    assert found.doubtful("auroc") == 0.5


def orders(neg: int, pos: int) -> list[list[int]]:
    """Of so many rows of both kinds, the highest first."""
    places = range(neg + pos)
    return [[int(i in picked) for i in places] for picked in combinations(places, pos)]


@pytest.mark.parametrize(
    ("low", "high"), [((0, 1), (0, 0)), ((3, 1), (1, 1)), ((2, 3), (3, 0)), ((1, 3), (2, 2))]
)
def test_precision_of_several_hospitals_is_the_mean_over_orders(
    low: tuple[int, int], high: tuple[int, int]
) -> None:
    """low, high: rows of the others and of the class in the two bins."""
    neg, pos = np.array([low, high]).T
    every = [
        average_precision_score(y, -np.arange(len(y)))
        for above, below in product(orders(*high), orders(*low))
        if (y := above + below)
    ]
    assert Ranks(neg, pos, Standing(parts=2)).auprc() == pytest.approx(np.mean(every), abs=1e-12)


@pytest.mark.parametrize("bins", [10, 11, 2000])
def test_bins_lie_between_their_limits(bins: int) -> None:
    edges, amid = limits(bins), middles(bins)
    assert bins_of(amid, bins).tolist() == list(range(bins))
    assert (edges[:-1] < amid).all()
    assert (amid < edges[1:]).all()
    assert edges[-1] == pytest.approx(296.8, abs=0.1)
    assert bins_of(np.array([-1e30, 0, 1e30]), bins).tolist() == [0, bins // 2, bins - 1]


def good() -> ClassCounts:
    """Two pairs in one bin, one ordered rightly, and one equal."""
    counts = counted(np.array([0.1, 0.2, 0.2]), np.array([0, 1, 0]), 10)
    assert counts.order.tolist() == [[2, 3, 1, ONE // 2, 1]]
    return counts


@pytest.mark.parametrize(
    "order",
    [
        [3, 3, 1, ONE // 2, 1],  # more pairs in one bin than there are
        [1, 1, 1, ONE // 2, 1],  # fewer, of a hospital alone
        [2, 0, 1, ONE // 2, 1],  # an equal pair counts once
        [2, 4, 1, ONE // 2, 1],
        [2, 3, 3, ONE // 2, 1],
        [2, 3, 1, 2 * ONE, 1],
        [2, 3, 1, ONE // 4, 1],  # below ⅓, the class last
        [2, 3, 1, ONE // 2, 4],
        [2, 3, 1, ONE // 2, 0],
    ],
    ids=str,
)
def test_standings_that_cannot_be(order: list[int]) -> None:
    assert good().consistent()
    assert replace(good(), order=np.array([order])).consistent() is False
    assert replace(good(), order=np.array([order[:4]])).consistent() is False


RARE = Path(__file__).parents[3] / "shared" / "cases" / "rare-outcome" / "rare.csv"


@pytest.mark.skipif(not RARE.is_file(), reason="shared/cases/rare-outcome is not here")
def test_rare_outcome() -> None:
    """One model of all rows, at every hospital and over all: .2 % died."""
    frame = pd.read_csv(RARE)
    features, y = frame[["a", "b", "c"]].to_numpy(), frame["dead"].to_numpy()
    logits = LogisticRegression().fit(features, y).decision_function(features)
    parts = {}
    for site in sorted(frame["site"].unique()):
        here = (frame["site"] == site).to_numpy()
        parts[site] = counted(logits[here], y[here])
        exact = roc_auc_score(y[here], logits[here])
        assert parts[site].metrics()["auroc"] == pytest.approx(exact, abs=1e-12)
    found = merge(list(parts.values())).metrics()
    assert found["auroc"] == pytest.approx(roc_auc_score(y, logits), abs=0.002)
    assert found["auprc"] == pytest.approx(average_precision_score(y, logits), abs=0.002)
    assert found.prevalence == pytest.approx(0.002, abs=0.001)
    assert READING.at(found.prevalence).main == ("auroc", "auprc", "balanced_accuracy")
    assert READING.at(0.3).main == READING.main


def test_the_event_is_class_1_of_two() -> None:
    assert Classification(("survived", "died")).positive == "died"
    assert Classification(("a", "b", "c")).positive is None
