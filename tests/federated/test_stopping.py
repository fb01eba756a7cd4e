"""Which round is kept and when training stops, by hand."""

import pytest

from federated.stopping import best, exhausted


@pytest.mark.parametrize(
    ("values", "highest", "lowest"),
    [
        ([0.5, 0.8, 0.6], 1, 0),
        ([0.5, 0.8, 0.8, 0.5], 1, 0),  # of equal ones the first
        ([0.1, 0.2, 0.3], 2, 0),  # the last one is a candidate
        ([None, 0.2, None, 0.1], 1, 3),
        ([-0.5, -0.2], 1, 0),
        ([None, None], 1, 1),
        ([0.7], 0, 0),
    ],
)
def test_the_best_round(values: list[float | None], highest: int, lowest: int) -> None:
    assert best(values, higher_is_better=True) == highest
    assert best(values, higher_is_better=False) == lowest


def test_patience_is_counted_from_the_best_round() -> None:
    values = [0.5, 0.7, 0.6, 0.7, 0.65]  # the best is round 1; three rounds since then
    assert exhausted(values, 3, higher_is_better=True)
    assert not exhausted(values, 4, higher_is_better=True)
    assert not exhausted(values[:4], 3, higher_is_better=True)
    assert not exhausted([3.0, 2.0, 1.0], 1, higher_is_better=False)
    assert exhausted([3.0, 2.0, 2.0], 1, higher_is_better=False)
    assert not exhausted([None, None], 1, higher_is_better=True)
