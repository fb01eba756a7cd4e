"""What rows are for: by class, at least one to train and to test, the same for the same seed."""

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from federated.errors import DataError
from federated.split import TEST, TRAIN, VALIDATION, split


def drawn_rows(
    hospital: str, targets: NDArray[np.int64], fraction: float, seed: int
) -> NDArray[np.bool_]:
    """True for the test rows when nothing validates."""
    codes = split(hospital, targets, fraction, 0.0, seed)
    assert codes.dtype == np.uint8
    assert VALIDATION not in codes
    return codes == TEST


def test_counts_by_hand() -> None:
    # 303 rows, fraction 0.34: 103.02 → 103 test rows; 164 · 0.34 = 55.76, 139 · 0.34 = 47.26
    targets = np.repeat([0, 1], [164, 139])
    test = drawn_rows("cleveland", targets, 0.34, 2026)
    assert np.bincount(targets[test]).tolist() == [56, 47]


def test_the_rows_drawn_stay_the_rows_drawn() -> None:
    # a changed draw would silently change every published figure
    test = drawn_rows("cleveland", np.repeat([0, 1], [164, 139]), 0.34, 2026)
    assert np.flatnonzero(test)[:8].tolist() == [2, 3, 5, 8, 11, 15, 17, 18]
    assert hashlib.sha256(np.packbits(test).tobytes()).hexdigest()[:16] == "3a78870293e9e89f"


def test_a_class_with_one_row_trains() -> None:
    targets = np.array([0] * 9 + [1])
    assert all(not drawn_rows("h", targets, 0.9, seed)[-1] for seed in range(20))
    assert all(split("h", targets, 0.5, 0.4, seed)[-1] == TRAIN for seed in range(20))


def test_classes_of_one_row_each_still_give_a_test_row() -> None:
    codes = split("h", np.arange(5), 0.5, 0.4, 0)
    assert np.bincount(codes, minlength=3).tolist() == [4, 1, 0]


def test_one_class_is_split_too() -> None:
    assert drawn_rows("h", np.ones(100, dtype=np.int64), 0.34, 0).sum() == 34


def test_seed_and_hospital_matter() -> None:
    targets = np.repeat([0, 1], 50)
    first = split("a", targets, 0.5, 0.2, 1)
    assert np.array_equal(first, split("a", targets, 0.5, 0.2, 1))
    for other in (split("b", targets, 0.5, 0.2, 1), split("a", targets, 0.5, 0.2, 2)):
        for code in (TEST, VALIDATION):
            assert not np.array_equal(first == code, other == code)


def test_one_row_is_an_error() -> None:
    with pytest.raises(DataError, match="'h': 1 rows cannot be split"):
        split("h", np.zeros(1, dtype=np.int64), 0.5, 0.0, 0)


def test_validation_rows_by_hand() -> None:
    # test: 56 and 47 of 164 and 139. validation: 303 · 0.2 = 60.6 → 61 of the 108 and 92 left,
    # 108 · 61/200 = 32.94, 92 · 61/200 = 28.06 → 33 and 28
    targets = np.repeat([0, 1], [164, 139])
    codes = split("cleveland", targets, 0.34, 0.2, 2026)
    assert np.bincount(targets[codes == VALIDATION]).tolist() == [33, 28]
    assert np.bincount(targets[codes == TRAIN]).tolist() == [75, 64]


def test_two_rows_of_a_class_train_and_test() -> None:
    assert sorted(split("h", np.array([0, 0]), 0.5, 0.4, 0)) == [TRAIN, TEST]
    three = split("h", np.array([0, 0, 0]), 0.3, 0.3, 0)
    assert sorted(three) == [TRAIN, TEST, VALIDATION]


@given(
    targets=st.lists(st.integers(0, 4), min_size=2, max_size=200),
    fraction=st.floats(0.01, 0.99),
    seed=st.integers(0, 5),
)
def test_rule(targets: list[int], fraction: float, seed: int) -> None:
    labels = np.array(targets)
    test = drawn_rows("h", labels, fraction, seed)
    counts, ours = np.bincount(labels), np.bincount(labels[test], minlength=labels.max() + 1)
    assert 1 <= test.sum() < len(labels)
    room = int(np.maximum(counts - 1, 0).sum())
    if room:
        assert (ours[counts > 0] < counts[counts > 0]).all()
        assert (ours <= counts * fraction + 1).all()
        assert test.sum() <= max(1, np.floor(len(labels) * fraction + 0.5))


@given(
    targets=st.lists(st.integers(0, 4), min_size=2, max_size=200),
    fractions=st.tuples(st.floats(0.01, 0.98), st.floats(0.01, 0.98)).filter(lambda f: sum(f) < 1),
    seed=st.integers(0, 5),
)
def test_validation_rule(targets: list[int], fractions: tuple[float, float], seed: int) -> None:
    labels = np.array(targets)
    codes = split("h", labels, *fractions, seed)
    assert np.array_equal(codes == TEST, drawn_rows("h", labels, fractions[0], seed))
    rest, chosen = labels[codes != TEST], labels[codes == VALIDATION]
    wanted = max(1, np.floor(len(labels) * fractions[1] + 0.5))
    counts, ours = np.bincount(rest), np.bincount(chosen, minlength=rest.max() + 1)
    assert (ours[counts > 0] < counts[counts > 0]).all()
    assert (ours <= counts * wanted / len(rest) + 1).all()
    assert len(chosen) <= wanted
    assert (len(chosen) == 0) == (counts.max() < 2)


def test_a_published_split_is_kept() -> None:
    targets = np.repeat([0, 1], 10)
    own = np.tile(np.array([TRAIN, TRAIN, TRAIN, TEST], dtype=np.uint8), 5)
    assert np.array_equal(split("h", targets, 0.9, 0.0, 0, own), own)
    drawn = split("h", targets, 0.9, 0.2, 0, own)  # 20 · 0.2 = 4 of 15 rows, 8 and 7 by class
    assert np.array_equal(drawn == TEST, own == TEST)
    assert np.bincount(targets[drawn == VALIDATION]).tolist() == [2, 2]
    own[0] = VALIDATION
    assert np.array_equal(split("h", targets, 0.9, 0.2, 0, own), own)


@pytest.mark.parametrize(("code", "kind"), [(TEST, "training"), (TRAIN, "test")])
def test_a_published_split_must_train_and_test(code: int, kind: str) -> None:
    own = np.full(4, code, dtype=np.uint8)
    with pytest.raises(DataError, match=f"'h': the data set's .* no {kind} row among 4"):
        split("h", np.zeros(4, dtype=np.int64), 0.5, 0.0, 0, own)
