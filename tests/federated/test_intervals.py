"""Intervals by hand, against a bootstrap, and that they hold the truth as often as they say."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import stats

from federated.counts import Counts, merge
from federated.intervals import Estimate, Interval, dependent, f1, root, separate, share
from federated.objectives import Objective
from federated.objectives.multilabel import Multilabel
from federated.objectives.regression import Regression
from federated.objectives.survival import Survival
from tests.federated.make import YES_NO, of_classes

Array = NDArray[np.float64]
Rows = tuple[Array, Array]
DRAWS = 300


@pytest.mark.parametrize(("part", "whole"), [(0, 5), (3, 7), (7, 7), (300, 1000)])
def test_share_is_scipys_wilson(part: int, whole: int) -> None:
    expected = stats.binomtest(part, whole).proportion_ci(method="wilson")
    found = share(part, whole)
    assert found is not None
    assert found == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert share(0, 0) is None


def test_f1_carries_the_limits_of_a_share() -> None:
    found = f1(3, 2)  # J = 3/5, F1 = 6/8
    inner = share(3, 5)
    assert inner is not None
    assert found.value == 6 / 8
    assert found.interval == tuple(2 * j / (1 + j) for j in inner)
    assert f1(0, 0).value is None


def test_means_of_figures() -> None:
    parts = [
        Estimate(value=0.4, interval=Interval(0.1, 0.5)),
        Estimate(value=0.8, interval=Interval(0.4, 1.0)),
    ]
    # distances below .3 and .4, above .1 and .2
    apart = separate(parts).interval
    assert apart is not None
    assert apart.low == pytest.approx(0.6 - 0.25)
    assert apart.high == pytest.approx(0.6 + np.sqrt(0.01 + 0.04) / 2)
    assert dependent(parts).interval == pytest.approx((0.25, 0.75))
    assert separate([]).value is None
    assert dependent([]).interval is None


def test_root_of_whole_numbers_without_bound() -> None:
    assert root(2, 1) == pytest.approx(2**0.5, rel=1e-15)
    assert root(1, 3) == pytest.approx(3**-0.5, rel=1e-15)
    assert root(10**801, 10**800) == pytest.approx(10**0.5, rel=1e-15)
    assert root(0, 7) == 0


def yes_no(n: int, drawn: np.random.Generator, prevalence: float = 0.3) -> Rows:
    y = (drawn.random(n) < prevalence).astype(float)
    return drawn.normal(y - 1, 1)[:, None], y


def three_classes(n: int, drawn: np.random.Generator) -> Rows:
    y = drawn.integers(0, 3, n)
    return drawn.normal(1.5 * np.eye(3)[y], 1), y.astype(float)


def labels(n: int, drawn: np.random.Generator) -> Rows:
    y = (drawn.random((n, 3)) < [0.3, 0.5, 0.2]).astype(float)
    return drawn.normal(2 * y - 1, 1.5), y


def values(n: int, drawn: np.random.Generator) -> Rows:
    mean = drawn.normal(5, 2, n)
    return mean[:, None], mean + drawn.normal(0, 1 + 0.2 * abs(mean))


def survival(n: int, drawn: np.random.Generator) -> Rows:
    hazard = drawn.normal(0, 1, n)
    time, end = drawn.exponential(np.exp(-hazard)), drawn.exponential(1.5, n)
    return hazard[:, None], np.stack([np.minimum(time, end), (time < end)], axis=1)


MAKERS: dict[str, tuple[Objective, Callable[[int, np.random.Generator], Rows]]] = {
    "yes/no": (YES_NO, yes_no),
    "three classes": (of_classes(3), three_classes),
    "labels": (Multilabel(("a", "b", "c")), labels),
    "values": (Regression("days"), values),
    "survival": (Survival("t", "e"), survival),
}


def counted(objective: Objective, rows: Rows) -> Counts:
    outputs, targets = torch.tensor(rows[0]), torch.tensor(rows[1])
    if objective.reading.kind == "classification":
        targets = targets.long()
    return objective.count(outputs, targets, 500, 15)


CAUTIOUS = {
    ("three classes", "auroc"),
    ("three classes", "auprc"),
    ("three classes", "f1"),
    ("labels", "auroc"),
    ("labels", "auprc"),
    ("labels", "auroc_micro"),
    ("labels", "auprc_micro"),
    ("labels", "f1"),
    ("yes/no", "ece"),
    ("three classes", "ece"),
    ("labels", "ece"),
}
"""Whose rows err together in a way that is not counted: their intervals may only be too wide."""


@pytest.mark.parametrize("kind", MAKERS)
def test_as_wide_as_a_bootstraps(kind: str) -> None:
    objective, make = MAKERS[kind]
    drawn = np.random.default_rng(7)
    outputs, targets = make(300, drawn)
    found = counted(objective, (outputs, targets)).metrics()
    again = []
    for _ in range(DRAWS):
        picked = drawn.integers(0, len(outputs), len(outputs))
        again.append(counted(objective, (outputs[picked], targets[picked])).metrics().values)
    for name, value in found.values.items():
        if name == "events":
            assert found.interval(name) is None
            continue
        interval = found.interval(name)
        assert interval is not None, name
        assert value is not None
        assert interval.low <= value <= interval.high
        low, high = np.quantile([one[name] for one in again], [0.025, 0.975])
        width = (interval.high - interval.low) / (high - low)
        assert width > 0.8, name
        assert width < (1.25 if (kind, name) not in CAUTIOUS else 6), name


@pytest.mark.parametrize(
    ("n", "prevalence"), [(25, 0.12), (60, 0.5), (200, 0.02), (500, 0.01)], ids=str
)
def test_an_aurocs_interval_holds_the_truth(n: int, prevalence: float) -> None:
    """Also of the three rows of Switzerland, where DeLong's interval holds it 4 times in 5."""
    drawn, truth = np.random.default_rng(3), stats.norm.cdf(1 / np.sqrt(2))
    held = []
    while len(held) < 200:
        own = counted(YES_NO, yes_no(n, drawn, prevalence)).metrics().interval("auroc")
        if own is not None:
            held.append(own.low <= truth <= own.high)
    assert np.mean(held) > 0.9


def test_a_perfect_order_of_few_rows_is_not_certain() -> None:
    logits, y = np.array([-2.0, -1, 1, 2])[:, None], np.array([0.0, 0, 1, 1])
    found = counted(YES_NO, (logits, y)).metrics()
    for name in ("auroc", "auprc", "accuracy", "balanced_accuracy", "f1"):
        interval = found.interval(name)
        assert found[name] == 1
        assert interval is not None
        assert interval.low < 0.7
        assert interval.high == pytest.approx(1)


@pytest.mark.parametrize("kind", MAKERS)
def test_nobody_has_no_interval_and_one_row_few(kind: str) -> None:
    objective, make = MAKERS[kind]
    outputs, targets = make(2, np.random.default_rng(0))
    assert counted(objective, (outputs[:0], targets[:0])).metrics().intervals == {}
    alone = counted(objective, (outputs[:1], targets[:1])).metrics()
    assert set(alone.intervals) <= {
        "accuracy",
        "f1",
        "ece",
        "subset_accuracy",
        "auroc_micro",
        "auprc_micro",
    }
    assert alone.model_validate_json(alone.model_dump_json()) == alone


@pytest.mark.parametrize("kind", MAKERS)
def test_hospitals_together_are_as_certain_as_their_rows(kind: str) -> None:
    objective, make = MAKERS[kind]
    outputs, targets = make(240, np.random.default_rng(5))
    whole = counted(objective, (outputs, targets)).metrics()
    parts = [counted(objective, (outputs[i::4], targets[i::4])) for i in range(4)]
    merged = merge(parts).metrics()
    for name in whole.intervals:
        loose = 0.2 if kind == "survival" else 0.02  # whose pairs and risk sets are hospitals' own
        ends = merged.interval(name)
        assert ends is not None
        assert ends.high - ends.low == pytest.approx(
            whole.intervals[name].high - whole.intervals[name].low, rel=loose
        )


def test_a_constant_prediction_is_said() -> None:
    y = np.array([1.0, 2, 6])
    found = counted(Regression("days"), (np.full((3, 1), 0.1), y)).metrics()
    assert ["every prediction is the same" in note for note in found.notes] == [True]
    assert counted(Regression("days"), (y[:, None], y)).metrics().notes == ()
