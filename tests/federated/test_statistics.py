"""Two exchanges against numpy on pooled rows."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from federated.errors import DataError
from federated.schema import Column, ImageSchema, TableSchema
from federated.statistics import (
    FEWEST_PATIENTS,
    FeatureStatistics,
    Sums,
    finish,
    fit,
    means,
    merge_sums,
    squares,
    sums,
    unscaled,
)


def table(columns: int) -> TableSchema:
    features = tuple(Column(name=f"x{i}", kind="numeric") for i in range(columns))
    return TableSchema(columns=features, target="y", classes=("no", "yes"))


def column(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)[:, None]


def test_by_hand() -> None:
    nan = float("nan")
    found = fit([column(1, 2, 2, 2, 3, nan), column(4, 4, 5, 6, 6, nan), column(nan)], table(1))
    assert found.mean == (3.5,)
    assert found.std[0] == pytest.approx((28.5 / 9) ** 0.5)
    assert found.count == (10,)


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 60), min_size=1, max_size=5),
    offset=st.sampled_from([0.0, 1.0, -1e4, 1e8]),
    scale=st.sampled_from([1e-2, 1.0, 1e5]),
    seed=st.integers(0, 99),
)
def test_equals_the_pooled_mean_and_std(
    sizes: list[int], offset: float, scale: float, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    parts = [offset + scale * generator.standard_normal((size, 3)) for size in sizes]
    for part in parts:
        part[generator.random(part.shape) < 0.2] = np.nan
        part[:, (~np.isnan(part)).sum(0) < FEWEST_PATIENTS] = np.nan
    pooled = np.concatenate(parts)
    found = fit([torch.tensor(part) for part in parts], table(3))
    for i in range(3):
        values = pooled[:, i][~np.isnan(pooled[:, i])]
        assert found.count[i] == len(values)
        if len(values):
            assert found.mean[i] == pytest.approx(values.mean(), rel=1e-12, abs=1e-12 * scale)
        if len(values) > 1:
            exact = values.astype(np.longdouble).std(ddof=1)
            assert found.std[i] == pytest.approx(float(exact), rel=1e-12)


def test_any_order_gives_the_same_bits() -> None:
    generator = np.random.default_rng(1)
    rows = [torch.tensor(1e6 * generator.standard_normal((17, 2))) for _ in range(4)]
    found = {fit(list(order), table(2)) for order in itertools.permutations(rows)}
    assert len(found) == 1


@pytest.mark.parametrize("constant", [0.0, 0.1, 1e8 + 0.1, -1 / 3])
def test_a_constant_column_has_its_exact_mean_and_std_zero(constant: float) -> None:
    parts = [column(*[constant] * n) for n in (7, 119, 5)]
    found = fit(parts, table(1))
    assert found == FeatureStatistics(mean=(constant,), std=(0.0,), count=(131,))


def test_nothing_is_sent_of_a_column_known_of_four_patients() -> None:
    nan = float("nan")
    absent = FeatureStatistics((0.0,), (0.0,), (0,))
    assert fit([column(nan, nan)], table(1)) == absent
    assert fit([column(nan, 5, 6, 7, 8)], table(1)) == absent
    assert sums(column(nan, 5, 6, 7, 8), table(1)).total == (0.0,)
    assert squares(column(nan, 5, 6, 7, 8), table(1), (6.0,)) == (0.0,)


def test_a_column_known_of_five_patients_is_sent() -> None:
    assert sums(column(4, 5, 6, 7, 8), table(1)).count == (FEWEST_PATIENTS,) == (5,)
    assert squares(column(4, 5, 6, 7, 8), table(1), (6.0,)) == (10.0,)
    few = column(1e6, 1e6)
    assert fit([column(4, 5, 6, 7, 8), few], table(1)) == fit([column(4, 5, 6, 7, 8)], table(1))


def test_numbers_whose_squares_have_no_sum_are_refused_by_column() -> None:
    assert fit([column(0, 0, 0, 0, 1e139)], table(1)).std[0] == pytest.approx(1e139 / 5**0.5)
    for value in (1e141, -1e300):
        with pytest.raises(DataError, match="column 'x0' holds values beyond 1e"):
            sums(column(0, value), table(1))


def test_only_numeric_columns_are_summed() -> None:
    code = Column(name="c", kind="categorical", codes=(1, 2))
    schema = TableSchema(columns=(code,), target="y", classes=("no", "yes"))
    assert sums(column(1, 2, 2, 1, 1), schema).count == (0,)


def test_exchanges_can_be_made_one_at_a_time() -> None:
    parts = [column(1, 1, 1, 1, 1), column(3, 3, 4, 5, 5)]
    merged = merge_sums([sums(part, table(1)) for part in parts])
    mean = means(merged)
    assert mean == (2.5,)
    sent = [squares(part, table(1), mean) for part in parts]
    assert sent == [(11.25,), (15.25,)]
    assert finish(merged, sent).std[0] == pytest.approx((26.5 / 9) ** 0.5)


def test_a_mean_is_rounded_to_a_float() -> None:
    assert means(sums(column(0, 0, 0, 0, 1, 1), table(1))) == (1 / 3,)


def test_two_values_have_a_deviation_and_one_has_none() -> None:
    # 3; and 1 and 3, whose squared distances from 2 are 1 and 1: √(2/1)
    found = finish(Sums((1, 2), (3.0, 4.0), (0.0, 0.0)), [(0.0, 2.0)])
    assert found == FeatureStatistics(mean=(3.0, 2.0), std=(0.0, 2**0.5), count=(1, 2))


def test_unscaled_has_an_entry_a_column_or_channel() -> None:
    pixels = ImageSchema(shape=(3, 5, 4), target="y", classes=("no", "yes"))
    assert unscaled(pixels) == FeatureStatistics((0.0,) * 3, (1.0,) * 3, (0,) * 3)
    assert unscaled(table(2)) == FeatureStatistics((0.0,) * 2, (1.0,) * 2, (0,) * 2)


def test_images_have_one_statistic_a_channel() -> None:
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (9, 3, 5, 4), dtype=np.uint8)
    schema = ImageSchema(shape=(3, 5, 4), target="y", classes=("no", "yes"))
    parts = [torch.from_numpy(part) for part in np.split(pixels, [2, 5])]
    found = fit(parts, schema)
    flat = (pixels / 255).transpose(1, 0, 2, 3).reshape(3, -1)
    assert found.mean == pytest.approx(flat.mean(1), rel=1e-12)
    assert found.std == pytest.approx(flat.std(1, ddof=1), rel=1e-12)
    assert found.count == (180,) * 3
    grey = torch.full((2, 3, 5, 4), 77, dtype=torch.uint8)
    assert fit([grey], schema).std == (0.0,) * 3
