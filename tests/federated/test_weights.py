"""The exact sum: by hand, against fractions, and independent of order and grouping."""

import random
from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from federated.weights import (
    FRACTION_BITS,
    add,
    digest,
    digest_json,
    exact_sum,
    floating,
    from_bytes,
    merge,
    stacked_sum,
    term,
    to_bytes,
)

values = st.lists(
    st.tuples(
        st.lists(st.floats(-1000, 1000, width=32), min_size=3, max_size=3), st.integers(1, 500)
    ),
    min_size=1,
    max_size=12,
)


def test_weighted_mean_by_hand() -> None:
    # (1·[1, 2] + 3·[3, 6]) / 4 = [2.5, 5]
    pairs = [({"w": torch.tensor([1.0, 2.0])}, 1), ({"w": torch.tensor([3.0, 6.0])}, 3)]
    assert exact_sum(pairs).mean()["w"].tolist() == [2.5, 5.0]
    assert exact_sum(pairs).value()["w"].tolist() == [10.0, 20.0]


@given(values, st.randoms())
def test_any_order_and_grouping_gives_the_same_bits(
    pairs: list[tuple[list[float], int]], shuffle: random.Random
) -> None:
    terms = [({"w": torch.tensor(v)}, n) for v, n in pairs]
    whole = exact_sum(terms)
    shuffle.shuffle(terms)
    cut = shuffle.randrange(len(terms) + 1)
    parts = [exact_sum(part) for part in (terms[:cut], terms[cut:]) if part]
    merged = parts[0] if len(parts) == 1 else merge(parts[1], parts[0])
    assert torch.equal(whole.total["w"], merged.total["w"])
    assert whole.coefficient == merged.coefficient


@given(values)
def test_the_sum_is_within_its_rounding_of_the_true_one(
    pairs: list[tuple[list[float], int]],
) -> None:
    got = exact_sum(({"w": torch.tensor(v)}, n) for v, n in pairs).value()["w"]
    for i in range(3):
        true = sum(Fraction(float(torch.tensor(v)[i])) * n for v, n in pairs)
        bound = Fraction(sum(n for _, n in pairs), 2 ** (FRACTION_BITS + 1))
        conversion = abs(true) * Fraction(1, 2**52) + bound
        assert abs(Fraction(float(got[i])) - true) <= conversion


@pytest.mark.parametrize("bad", [2.0**40, float("nan"), float("inf")])
def test_what_does_not_fit_is_refused_by_name(bad: float) -> None:
    with pytest.raises(OverflowError, match=r"'layer\.bias'"):
        term({"layer.bias": torch.tensor([bad])}, 1)


def test_an_overflow_of_the_total_is_refused() -> None:
    large = {"w": torch.tensor([2.0**25])}
    with pytest.raises(OverflowError, match="'w'"):
        exact_sum([(large, 1)] * 3)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_bounds_of_the_exact_sum(sign: int) -> None:
    # n·u below 2^26 in size, and so is every sum
    below = 2.0**26 - 2.0**-20
    assert (
        term({"w": torch.tensor([sign * below], dtype=torch.float64)}, 1).value()["w"]
        == sign * below
    )
    for value, coefficient in ((2.0**26, 1), (2.0**25, 2)):
        with pytest.raises(OverflowError, match="'w'"):
            term({"w": torch.tensor([sign * value])}, coefficient)
    with pytest.raises(OverflowError, match="'w'"):
        exact_sum([({"w": torch.tensor([sign * 2.0**25])}, 1)] * 2)


def test_no_updates_and_no_weight_are_refused() -> None:
    with pytest.raises(ValueError, match="no updates"):
        exact_sum([])
    with pytest.raises(ValueError, match="at least 1"):
        term({"w": torch.zeros(1)}, 0)


def test_add_rounds_once_and_keeps_dtypes_and_counters() -> None:
    weights = {"w": torch.tensor([1.0]), "steps": torch.tensor(5)}
    after = add(weights, {"w": torch.tensor([0.5], dtype=torch.float64)}, scale=2.0)
    assert after["w"].dtype == torch.float32
    assert after["w"].tolist() == [2.0]
    assert after["steps"].item() == 5
    assert set(floating(weights)) == {"w"}


def test_bytes_are_stable_and_read_back() -> None:
    weights = {"b": torch.tensor([1.0, -0.0]), "a": torch.arange(3)}
    data = to_bytes(weights)
    assert data == to_bytes(dict(reversed(list(weights.items()))))
    assert all(torch.equal(from_bytes(data)[k], v) for k, v in weights.items())
    assert len(digest(data)) == 64
    assert digest_json({"b": 1, "a": [2]}) == digest_json({"a": [2], "b": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        digest_json(float("nan"))


def test_terms_are_rounded_to_the_nearest_unit() -> None:
    units = torch.tensor([0.75, -0.75, 0.25, 2.5, 3.5], dtype=torch.float64)  # halves to even
    found = term({"w": units / 2**FRACTION_BITS}, 3)
    assert found.total["w"].tolist() == [3, -3, 0, 6, 12]


@given(st.lists(st.tuples(st.floats(-1000, 1000), st.integers(1, 500)), min_size=1, max_size=6))
def test_a_stacked_sum_has_the_bits_of_the_exact_sum(pairs: list[tuple[float, int]]) -> None:
    deltas = [torch.tensor([value, -value / 3], dtype=torch.float32) for value, _ in pairs]
    counts = [count for _, count in pairs]
    one = stacked_sum({"w": torch.stack(deltas)}, counts)
    other = exact_sum(({"w": delta}, n) for delta, n in zip(deltas, counts, strict=True))
    assert one.total["w"].tolist() == other.total["w"].tolist()
    assert one.coefficient == other.coefficient == sum(counts)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2.0**26])
def test_a_stacked_sum_refuses_by_the_tensors_name(value: float) -> None:
    with pytest.raises(OverflowError, match="'w'"):
        stacked_sum({"w": torch.tensor([[1.0], [value]])}, [1, 1])
