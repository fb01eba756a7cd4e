"""Closed forms of Student's t at 2 and 4 degrees of freedom, counts of signs, and Holm by hand."""

from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from federated.significance import Paired, holm, interval, paired, verdict

FEW = st.lists(st.floats(0, 1), min_size=1, max_size=12)


def quantile_2(p: float) -> float:
    """Student's quantile at 2 degrees of freedom."""
    return (2 * p - 1) / sqrt(2 * p * (1 - p))


def two_sided_2(t: float) -> float:
    return 1 - t / sqrt(2 + t * t)


def two_sided_4(t: float) -> float:
    x = t / sqrt(4 + t * t)
    return 1 - 1.5 * (x - x**3 / 3)


def test_interval_of_three_values() -> None:
    found = interval([1.0, 2.0, 3.0])  # s = 1
    half = quantile_2(0.975) / sqrt(3)
    assert half == pytest.approx(4.302652729911275 / sqrt(3))
    assert (found.n, found.mean) == (3, 2.0)
    assert found.low == pytest.approx(2 - half)
    assert found.half == pytest.approx(half)


def test_one_value_has_no_interval() -> None:
    found = interval([0.5])
    assert (found.n, found.mean, found.low, found.high, found.half) == (1, 0.5, None, None, None)


def test_paired_t_test_at_two_and_four_degrees_of_freedom() -> None:
    three = paired([2.0, 4.0, 6.0], [1.0, 2.0, 3.0])  # differences 1, 2, 3: t = 2√3
    assert three.p == pytest.approx(two_sided_2(2 * sqrt(3)))
    assert three.p == pytest.approx(0.0741799, abs=1e-7)
    assert three.wilcoxon is None
    five = paired([1.0, 2.0, 3.0, 4.0, 5.0], [0.0] * 5)  # mean 3, s² = 2.5: t = 3√2
    assert five.p == pytest.approx(two_sided_4(3 * sqrt(2)))


def test_the_sign_of_a_difference_does_not_change_p() -> None:
    ours, reference = [0.9, 0.8, 0.85, 0.7], [0.6, 0.75, 0.8, 0.72]
    there, back = paired(ours, reference), paired(reference, ours)
    assert there.p == pytest.approx(back.p)
    assert there.difference is not None
    assert back.difference is not None
    assert there.difference.mean == pytest.approx(-back.difference.mean)


def test_wilcoxon_counts_signed_ranks() -> None:
    up = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    assert paired(up, [0.0] * 6).wilcoxon == pytest.approx(2 / 64)  # of 2⁶ signs, all the same
    one_down = [-1.0, *up[1:]]  # rank sum 1: two of 64 on either side
    assert paired(one_down, [0.0] * 6).wilcoxon == pytest.approx(4 / 64)
    assert paired(up[:5], [0.0] * 5).wilcoxon is None


def test_equal_values_and_constant_differences() -> None:
    same = paired([0.3] * 6, [0.3] * 6)
    assert (same.p, same.wilcoxon) == (1.0, 1.0)
    assert paired([0.1 + 0.2, 1.0, 2.0], [0.3, 1.0, 2.0]).p == 1.0  # rounding is no difference


def test_equal_differences_are_judged_by_their_signs_alone() -> None:
    three = paired([1.5, 2.5, 3.5], [1.0, 2.0, 3.0])
    assert three.p == 0.25  # of 2³ signs, all up or all down
    assert three.difference is not None
    assert (three.difference.mean, three.difference.low) == (0.5, None)
    assert verdict(three, three.p) == "within noise"
    assert paired([0.3, 0.4, 0.5], [0.2, 0.3, 0.4]).p == 0.25  # the same but for rounding
    seven = paired([0.5] * 7, [0.25] * 7)
    assert (seven.p, verdict(seven, seven.p)) == (2 / 128, "higher")
    assert paired([2.0, 2.0], [1.0, 1.0]).p is None


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


@given(FEW)
def test_holm_lies_between_p_and_bonferroni_and_keeps_the_order(p: list[float]) -> None:
    found = holm(p)
    assert all(a <= b <= min(1.0, len(p) * a) + 1e-12 for a, b in zip(p, found, strict=True))
    ranked = [found[i] for i in sorted(range(len(p)), key=p.__getitem__)]
    assert ranked == sorted(ranked)


def test_verdicts() -> None:
    def of(found: Paired, adjusted: float | None) -> str:
        return verdict(found, adjusted)

    up = paired([2.0, 3.1, 4.0], [1.0, 2.0, 3.0])
    assert of(up, 0.01) == "higher"
    assert of(paired([1.0, 2.0, 3.0], [2.0, 3.1, 4.0]), 0.01) == "lower"
    assert of(up, 0.05) == "within noise"
    assert of(paired([1.0, 2.0], [2.0, 2.0]), None) == "too few seeds"
    assert of(paired([], []), None) == "too few seeds"
    assert of(paired([1.0] * 3, [1.0] * 3), 1.0) == "no difference"


def test_one_in_twenty_when_there_is_nothing_to_find() -> None:
    drawn = np.random.default_rng(1).normal(size=(2000, 2, 5))
    found = [paired(list(a), list(b)) for a, b in drawn]
    false = sum(verdict(one, one.p) in ("higher", "lower") for one in found) / 2000
    assert 0.035 < false < 0.065  # 3 standard errors about 0.05
