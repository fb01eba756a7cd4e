"""Every partition holds each row once, honours its sizes, and is a function of its seed."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from federated.errors import DataError
from federated.partition.dirichlet import Dirichlet
from federated.partition.iid import Iid
from federated.partition.natural import Natural
from federated.partition.quantity import Quantity
from federated.partition.shards import Shards

MADE_UP = st.one_of(
    st.builds(Iid, hospitals=st.integers(1, 12)),
    st.builds(Shards, hospitals=st.integers(1, 12), classes=st.integers(1, 4)),
    st.builds(
        Dirichlet,
        hospitals=st.integers(1, 12),
        alpha=st.sampled_from([1e-6, 1e-3, 0.1, 0.5, 100.0, 1e6]),
        min_rows=st.integers(1, 20),
    ),
    st.builds(
        Quantity,
        hospitals=st.integers(1, 12),
        sigma=st.floats(0, 10),
        min_rows=st.integers(1, 20),
    ),
)


def assign(rule: Any, labels: NDArray[np.int64], seed: int = 0) -> dict[str, NDArray[np.int64]]:
    result: dict[str, NDArray[np.int64]] = rule.assign(labels, None, np.random.default_rng(seed))
    return result


@settings(max_examples=150, deadline=2000)
@given(rule=MADE_UP, rows=st.integers(0, 400), classes=st.integers(1, 10), seed=st.integers(0, 9))
def test_each_row_once_and_sizes_honoured(rule: Any, rows: int, classes: int, seed: int) -> None:
    labels = np.random.default_rng(seed).integers(0, classes, rows)
    least = getattr(rule, "min_rows", getattr(rule, "classes", 1))
    if rows < least * rule.hospitals:
        with pytest.raises(DataError, match=f"{rows} rows cannot give {rule.hospitals} hospitals"):
            assign(rule, labels, seed)
        return
    found = assign(rule, labels, seed)
    again = assign(rule, labels, seed)
    assert list(found) == list(again)
    assert all(np.array_equal(found[name], again[name]) for name in found)
    assert len(found) == rule.hospitals
    assert min(len(part) for part in found.values()) >= least
    assert np.array_equal(np.sort(np.concatenate(list(found.values()))), np.arange(rows))
    assert all(np.array_equal(part, np.sort(part)) for part in found.values())


def test_names_have_one_width() -> None:
    names = list(assign(Iid(hospitals=11), np.zeros(22, dtype=np.int64)))
    assert names[0] == "hospital-01"
    assert names[-1] == "hospital-11"


def test_natural_follows_the_column() -> None:
    hospitals = np.array(["b", "a", "b", "c"])
    found = Natural().assign(np.zeros(4, dtype=np.int64), hospitals, np.random.default_rng(0))
    assert {name: rows.tolist() for name, rows in found.items()} == {
        "a": [1],
        "b": [0, 2],
        "c": [3],
    }


def test_natural_without_hospitals_says_what_to_do() -> None:
    with pytest.raises(DataError, match="choose iid, dirichlet, shards or quantity"):
        assign(Natural(), np.zeros(4, dtype=np.int64))


def test_iid_is_equal() -> None:
    sizes = [len(rows) for rows in assign(Iid(hospitals=3), np.zeros(10, dtype=np.int64)).values()]
    assert sizes == [4, 3, 3]


def test_shards_give_two_classes_a_hospital() -> None:
    labels = np.repeat(np.arange(10), 20)
    found = assign(Shards(hospitals=5, classes=2), labels)
    assert all(len(np.unique(labels[rows])) <= 2 for rows in found.values())
    assert {len(rows) for rows in found.values()} == {40}


def test_small_alpha_skews_and_large_alpha_does_not() -> None:
    labels = np.tile(np.arange(10), 400)

    def skew(alpha: float) -> float:
        parts = assign(Dirichlet(hospitals=5, alpha=alpha), labels).values()
        counts = np.array([np.bincount(labels[rows], minlength=10) for rows in parts])
        return float((counts / counts.sum(1, keepdims=True)).std(axis=0).mean())

    assert skew(0.1) > 0.1 > 0.01 > skew(1e5)


def test_quantity_skew_grows_with_sigma() -> None:
    labels = np.zeros(1000, dtype=np.int64)
    equal = [len(r) for r in assign(Quantity(hospitals=4, sigma=0.0), labels).values()]
    assert equal == [250] * 4
    skewed = [len(r) for r in assign(Quantity(hospitals=4, sigma=2.0), labels).values()]
    assert max(skewed) > 4 * min(skewed)
