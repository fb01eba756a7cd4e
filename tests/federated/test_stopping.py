"""Which round is kept and when training stops, by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federated.stopping import best, exhausted


def test_the_first_of_the_best_is_kept_and_the_last_is_a_candidate() -> None:
    assert best([0.9, 0.4, 0.6, 0.4], higher_is_better=False) == 1
    assert best([0.9, 0.4, 0.6, 0.3], higher_is_better=False) == 3
    assert best([0.5, 0.8, 0.8, 0.7], higher_is_better=True) == 1


def test_undefined_values_are_no_candidates_unless_all_are() -> None:
    assert best([None, 0.7, None], higher_is_better=False) == 1
    assert best([None, None], higher_is_better=True) == 1


@pytest.mark.parametrize(
    ("values", "patience", "stops"),
    [
        ([0.9, 0.5, 0.6], 2, False),  # one round without a better one
        ([0.9, 0.5, 0.6, 0.7], 2, True),
        ([0.9, 0.5, 0.5, 0.5], 2, True),  # an equal value is no better one
        ([0.9, 0.5, 0.6, 0.4], 2, False),
        ([0.9], 1, False),
    ],
)
def test_patience_counts_rounds_since_the_best(
    values: list[float], patience: int, stops: bool
) -> None:
    assert exhausted(values, patience, higher_is_better=False) is stops


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=20))
def test_the_best_is_the_smallest_or_the_largest(values: list[float]) -> None:
    assert values[best(values, higher_is_better=False)] == min(values)
    assert values[best(values, higher_is_better=True)] == max(values)
