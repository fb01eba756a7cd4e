"""Slope, intercept and O/E against scikit-learn; thresholds and net benefit by hand."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from federated.counts import merge
from federated.intervals import share
from federated.objectives.classification import ClassCounts
from tests.federated.make import YES_NO, of_classes


def counted(odds: NDArray[np.float64], y: NDArray[np.int64], threshold: float = 0.5) -> ClassCounts:
    return YES_NO.count(torch.tensor(odds)[:, None], torch.tensor(y), 2000, 15, threshold)


@pytest.mark.parametrize(("slope", "shift"), [(1.0, 0.0), (0.5, 1.0), (2.0, -1.0), (1.0, -4.0)])
def test_slope_is_that_of_logistic_regression(slope: float, shift: float) -> None:
    drawn = np.random.default_rng(2)
    odds = drawn.normal(shift, 1.5, 3000)
    y = (drawn.random(3000) < expit(slope * (odds - shift) + shift)).astype(np.int64)
    parts = [counted(odds[i::3], y[i::3]) for i in range(3)]
    found = merge(parts).curve(0.5).recalibration
    assert found is not None
    fitted = LogisticRegression(C=1e12, tol=1e-10).fit(odds[:, None], y)
    assert found.slope.value == pytest.approx(fitted.coef_[0, 0], rel=0.005)
    interval = found.slope.interval
    assert interval is not None
    assert interval.low < slope < interval.high
    value = found.intercept.value
    assert value is not None
    assert expit(odds + value).sum() == pytest.approx(y.sum(), rel=0.005)
    ratio = found.observed_expected.value
    assert ratio == pytest.approx(y.sum() / expit(odds).sum(), abs=1e-6)


def test_an_interval_of_the_slope_is_as_wide_as_a_bootstraps() -> None:
    drawn = np.random.default_rng(4)
    odds = drawn.normal(-1, 1.5, 500)
    y = (drawn.random(500) < expit(odds)).astype(np.int64)
    found = counted(odds, y).curve(0.5).recalibration
    assert found is not None
    again = []
    for _ in range(200):
        picked = drawn.integers(0, 500, 500)
        one = counted(odds[picked], y[picked]).curve(0.5).recalibration
        assert one is not None
        again.append([one.slope.value, one.intercept.value, one.observed_expected.value])
    low, high = np.quantile(np.array(again, dtype=float), [0.025, 0.975], axis=0)
    for own, width in zip(
        (found.slope, found.intercept, found.observed_expected), high - low, strict=True
    ):
        assert own.interval is not None
        assert own.interval.high - own.interval.low == pytest.approx(width, rel=0.3)


def test_where_nothing_can_be_fitted() -> None:
    one_class = counted(np.array([0.1, 0.2]), np.array([1, 1])).curve(0.5)
    assert one_class.recalibration is None
    assert one_class.decision == ()
    assert [point.name for point in one_class.operating] == ["chosen"]
    apart = counted(np.array([-2.0, -1, 1, 2]), np.array([0, 0, 1, 1])).curve(0.5).recalibration
    assert apart is not None
    assert apart.slope.value is None
    level = counted(np.zeros(4), np.array([0, 0, 0, 1])).curve(0.5).recalibration
    assert level is not None
    assert level.slope.value is None
    assert level.intercept.value == pytest.approx(logit(0.25), abs=0.011)  # half a bin
    assert level.observed_expected.value == pytest.approx(0.5)
    far = counted(np.array([-500.0, 500.0, -500.0]), np.array([1, 0, 0])).curve(0.5).recalibration
    assert far is not None
    nobody = YES_NO.count(torch.zeros(0, 1), torch.zeros(0, dtype=torch.int64), 10, 5).curve(0.5)
    assert (nobody.calibration, nobody.operating, nobody.recalibration) == ((), (), None)
    more = of_classes(3).count(torch.eye(3), torch.tensor([0, 1, 2]), 10, 5).curve(0.5)
    assert more.recalibration is None


def test_rates_at_the_chosen_threshold_and_at_youdens() -> None:
    # P:     .1 .2 .3 .4 .6 .9; yes above .25: three of four true ones found … of two others one is
    p = np.array([0.1, 0.2, 0.3, 0.4, 0.6, 0.9])
    y = np.array([0, 1, 0, 1, 1, 1])
    counts = counted(logit(p), y, threshold=0.25)
    at, best = counts.curve(0.25).operating
    assert (at.name, at.threshold) == ("chosen", 0.25)
    rates = [at.sensitivity, at.specificity, at.ppv, at.npv]
    assert [rate.value for rate in rates] == [3 / 4, 1 / 2, 3 / 4, 1 / 2]
    assert at.sensitivity.interval == share(3, 4)
    assert counts.metrics()["accuracy"] == 4 / 6
    # above .3 all yeses are right: 3 of 4 and 2 of 2
    assert best.name == "youden"
    assert 0.3 < best.threshold < 0.4
    assert (best.sensitivity.value, best.specificity.value) == (3 / 4, 1)


def test_net_benefit_by_hand() -> None:
    drawn = np.random.default_rng(6)
    odds = drawn.normal(-5, 1, 4000)
    y = (drawn.random(4000) < expit(odds)).astype(np.int64)
    points = counted(odds, y).curve(0.5).decision
    assert len(points) == 25
    for point in points:
        t = point.threshold
        yes = odds >= logit(t)
        hits, false = int((yes & (y == 1)).sum()), int((yes & (y == 0)).sum())
        assert point.model == pytest.approx((hits - false * t / (1 - t)) / 4000, abs=1e-6)
        rate = y.mean()
        assert point.all == pytest.approx(rate - (1 - rate) * t / (1 - t), abs=1e-6)
