"""Test rows: by class, at least one on each side, the same for the same seed and hospital."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from federated.errors import DataError
from federated.split import split


def test_counts_by_hand() -> None:
    # 303 rows, fraction 0.34: 103.02 → 103 test rows; 164 · 0.34 = 55.76, 139 · 0.34 = 47.26
    targets = np.repeat([0, 1], [164, 139])
    test = split("cleveland", targets, 0.34, 2026)
    assert np.bincount(targets[test]).tolist() == [56, 47]


def test_a_class_with_one_row_trains() -> None:
    targets = np.array([0] * 9 + [1])
    assert all(not split("h", targets, 0.9, seed)[-1] for seed in range(20))


def test_classes_of_one_row_each_still_give_a_test_row() -> None:
    assert split("h", np.arange(5), 0.5, 0).sum() == 1


def test_one_class_is_split_too() -> None:
    assert split("h", np.ones(100, dtype=np.int64), 0.34, 0).sum() == 34


def test_seed_and_hospital_matter() -> None:
    targets = np.repeat([0, 1], 50)
    first = split("a", targets, 0.5, 1)
    assert np.array_equal(first, split("a", targets, 0.5, 1))
    assert not np.array_equal(first, split("b", targets, 0.5, 1))
    assert not np.array_equal(first, split("a", targets, 0.5, 2))


def test_one_row_is_an_error() -> None:
    with pytest.raises(DataError, match="'h': 1 rows cannot be split"):
        split("h", np.zeros(1, dtype=np.int64), 0.5, 0)


@given(
    targets=st.lists(st.integers(0, 4), min_size=2, max_size=200),
    fraction=st.floats(0.01, 0.99),
    seed=st.integers(0, 5),
)
def test_rule(targets: list[int], fraction: float, seed: int) -> None:
    labels = np.array(targets)
    test = split("h", labels, fraction, seed)
    counts, tested = np.bincount(labels), np.bincount(labels[test], minlength=labels.max() + 1)
    assert 1 <= test.sum() < len(labels)
    room = int(np.maximum(counts - 1, 0).sum())
    if room:
        assert (tested[counts > 0] < counts[counts > 0]).all()
        assert (tested <= counts * fraction + 1).all()
        assert test.sum() <= max(1, np.floor(len(labels) * fraction + 0.5))
