"""Rows of a patient as one unit, splits by time, and rows that stand on two sides."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from federated.duplicates import copies, elsewhere, row_hashes
from federated.errors import DataError
from federated.patients import highest, owners, rows_of
from federated.schema import Coverage
from federated.sizes import require, too_small
from federated.split import TEST, TRAIN, VALIDATION
from federated.time_split import split_by_time

LATER = st.lists(st.integers(-5, 5), min_size=2, max_size=40).filter(lambda t: len(set(t)) > 1)


def test_patients_are_numbered_in_the_order_of_their_first_rows() -> None:
    owner = owners(np.array([7, 3, 7, 9, 3]))
    assert owner.tolist() == [0, 1, 0, 2, 1]
    assert highest(np.array([0, 0, 1, 0, 0]), owner).tolist() == [1, 0, 0]  # any event
    assert highest(np.array([-9, -4, -8, -2, -5]), owner).tolist() == [-8, -4, -2]
    assert rows_of(np.array([0, 2]), owner).tolist() == [0, 2, 3]
    assert owners(np.arange(4)[::-1]).tolist() == [0, 1, 2, 3]  # of one row each: as they stand


def test_the_latest_rows_test_and_the_latest_of_the_rest_validate() -> None:
    times = np.array([5, 1, 2, 9, 3, 4, 8, 6, 0, 7])
    codes = split_by_time("h", times, 0.3, 0.2)
    assert times[codes == TEST].tolist() == [9, 8, 7]
    assert times[codes == VALIDATION].tolist() == [5, 6]
    assert np.array_equal(codes == TEST, split_by_time("h", times, 0.3, 0.0) == TEST)


def test_rows_of_one_time_stay_together_as_near_to_the_share_as_they_allow() -> None:
    # 34 % of 10 rows are 3: of 2 or 5 rows, 2 are nearer; of 1 or 5, equally near, fewer are taken
    assert (split_by_time("h", np.repeat([1, 2, 3], [5, 3, 2]), 0.34, 0) == TEST).sum() == 2
    assert (split_by_time("h", np.repeat([1, 2, 3], [5, 4, 1]), 0.34, 0) == TEST).sum() == 1
    two = split_by_time("h", np.repeat([1, 2], [8, 2]), 0.9, 0.05)
    assert two.tolist() == [TRAIN] * 8 + [TEST] * 2  # what is left is of one time: no validation
    with pytest.raises(DataError, match="'h': all its 3 rows are of one time"):
        split_by_time("h", np.ones(3, dtype=np.int64), 0.3, 0)


@given(LATER, st.floats(0.05, 0.6), st.floats(0, 0.35))
def test_no_row_is_later_than_one_of_the_next_use(
    values: list[int], test: float, validation: float
) -> None:
    times = np.array(values)
    codes = split_by_time("h", times, test, validation)
    train, held, later = (times[codes == code] for code in (TRAIN, VALIDATION, TEST))
    assert min(len(train), len(later)) > 0
    assert len(held) <= (validation > 0) * len(times)
    assert train.max() < later.min()
    assert not len(held) or train.max() < held.min() <= held.max() < later.min()


def test_rows_are_the_same_if_every_cell_is() -> None:
    features = np.array([[0.0, np.nan], [-0.0, np.nan], [0.0, 1.0], [0.0, np.nan]])
    hashes = row_hashes(features, np.array([1, 1, 1, 0]))
    assert [h == hashes[0] for h in hashes] == [True, True, False, False]
    wide = np.zeros((2, 3, 2), dtype=np.uint8)
    assert len(set(row_hashes(wide, np.zeros((2, 2))))) == 1
    assert row_hashes(np.empty((0, 3)), np.empty(0)).tolist() == []


def test_copies_are_counted_where_they_are_tested() -> None:
    hashes = np.array([1, 1, 2, 3, 2, 4, 4, 5], dtype=np.uint64)
    codes = np.array([TRAIN, TEST, VALIDATION, TEST, TRAIN, TEST, TEST, VALIDATION], dtype=np.uint8)
    assert copies(hashes, codes) == (1, 1)  # 4 stands twice, both for testing
    keys = {"a": np.array([1, 1, 2]), "b": np.array([2, 3]), "c": np.array([9])}
    assert elsewhere(keys) == {"a": 1, "b": 1}
    assert elsewhere({}) == {}


def test_every_hospital_that_is_too_small_is_named_at_once() -> None:
    found = [
        Coverage(hospital="a", rows=9, kept=7, quarantined={"age: not a number": 2}),
        Coverage(hospital="b", rows=30, kept=30),
        Coverage(hospital="c", rows=40, kept=40, patients=6),
    ]
    assert too_small(found, 8) == ["a", "c"]
    with pytest.raises(DataError) as caught:
        require(found, 8)
    assert str(caught.value).splitlines() == [
        "hospital 'a': 7 of 9 rows are usable, data.min_rows asks for 8; rows set aside: "
        "age: not a number (2)",
        "hospital 'c': 40 of 40 rows are usable and are of 6 patients, data.min_rows asks for 8; "
        "rows set aside: none",
        "Mend or add rows, lower data.min_rows, leave out hospitals (data.leave_out: [a, c], or "
        "data.small_hospitals: leave_out), or give each more rows (data.partition)",
    ]
    require(found, 6)
