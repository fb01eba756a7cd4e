import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle

from federated.counts import merge, to_dict
from federated.errors import ConfigError
from federated.objectives import objective_of
from federated.objectives.regression import UNIT, Regression, ValueCounts
from federated.schema import TableSchema, Value
from federated.statistics import TargetScale

OBJECTIVE = Regression("days")
NUMBERS = st.floats(-1e6, 1e6)


def column(values: list[float]) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64).unsqueeze(1)


def target(values: list[float]) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_by_hand() -> None:
    # y: 1 2 6 (mean 3, squared distances 4 1 9), errors 1 -1 2
    counts = OBJECTIVE.count(column([2, 1, 8]), target([1, 2, 6]), 10, 5)
    found = counts.metrics()
    assert found["loss"] == 2
    assert found["rmse"] == math.sqrt(2)
    assert found["mae"] == 4 / 3
    assert found["bias"] == 2 / 3
    assert found["r2"] == 1 - 6 / 14


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=2, max_size=40))
def test_equals_scikit_learn(rows: list[tuple[float, float]]) -> None:
    said, y = [a for a, _ in rows], [b for _, b in rows]
    found = OBJECTIVE.count(column(said), target(y), 10, 5).metrics()
    assert found["loss"] == pytest.approx(oracle.mean_squared_error(y, said), rel=1e-9, abs=1e-13)
    assert found["mae"] == pytest.approx(oracle.mean_absolute_error(y, said), rel=1e-9, abs=1e-13)
    rmse = oracle.root_mean_squared_error(y, said)
    assert found["rmse"] == pytest.approx(rmse, rel=1e-9, abs=1e-13)
    if np.ptp(y) > 1:
        assert found["r2"] == pytest.approx(oracle.r2_score(y, said), rel=1e-6, abs=1e-9)
    assert OBJECTIVE.loss(column(said), target(y)).item() == pytest.approx(found["loss"], rel=1e-9)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=30), st.integers(1, 4))
def test_parts_merge_to_the_very_bits_of_the_whole(
    rows: list[tuple[float, float]], parts: int
) -> None:
    said, y = column([a for a, _ in rows]), target([b for _, b in rows])
    whole = OBJECTIVE.count(said, y, 10, 5)
    pieces = [OBJECTIVE.count(said[i::parts], y[i::parts], 10, 5) for i in range(parts)]
    assert to_dict(merge(pieces)) == to_dict(whole)
    assert to_dict(merge([merge(pieces[1:]), pieces[0]] if parts > 1 else pieces)) == to_dict(whole)


def test_r2_survives_a_mean_far_from_0() -> None:
    y = [1e6, 1e6 + 0.001, 1e6 + 0.002]
    found = OBJECTIVE.count(column([v + 0.0005 for v in y]), target(y), 10, 5).metrics()
    assert found["r2"] == pytest.approx(1 - 3 * 0.0005**2 / (2 * 0.001**2), rel=1e-5)


def test_constant_targets_have_no_r2() -> None:
    found = OBJECTIVE.count(column([1.0, 2]), target([0.1, 0.1]), 10, 5).metrics()
    assert found["r2"] is None
    assert found["loss"] is not None
    nobody = OBJECTIVE.count(column([]), target([]), 10, 5).metrics()
    assert set(nobody.values.values()) == {None}


def test_values_and_errors_are_rounded_to_the_nearest_unit() -> None:
    units = torch.tensor([0.75, -0.75, 0.25], dtype=torch.float64)
    counts = OBJECTIVE.count(column([0, 0, 0]), units / UNIT, 10, 5)
    assert (counts.y, counts.y2, counts.e, counts.absolute, counts.e2) == (0, 2, 0, 2, 2)
    assert OBJECTIVE.count(column([0]), target([0.75 / UNIT]), 10, 5).y == 1


def test_sums_of_equal_values_and_errors_are_consistent() -> None:
    # (Σy)² = nΣy², (Σe)² = nΣe² and |Σe| = Σ|e|: the bounds themselves
    assert OBJECTIVE.count(column([1, 1]), target([0.5, 0.5]), 10, 5).consistent()


def some() -> ValueCounts:
    """Sums that are all within their limits, none at one."""
    return OBJECTIVE.count(column([2, 1, 8]), target([1, 2, 6]), 10, 5)


def test_sums_by_hand() -> None:
    one = some()  # y: 1 2 6, errors 1 -1 2
    assert (one.y, one.y2, one.y3, one.y4) == (
        9 * UNIT,
        41 * UNIT**2,
        225 * UNIT**3,
        1313 * UNIT**4,
    )
    assert (one.e, one.absolute, one.e2, one.e4) == (
        2 * UNIT,
        4 * UNIT,
        6 * UNIT**2,
        18 * UNIT**4,
    )
    assert (one.e2y, one.e2y2, one.p2) == (27 * UNIT**3, 149 * UNIT**4, 69 * UNIT**2)
    assert one.consistent()


@pytest.mark.parametrize(
    ("name", "value", "power"),
    [
        ("y", 12, 1),  # 12² > 3 · 41
        ("y2", 26, 2),
        ("y3", 233, 3),  # 233² > 41 · 1313
        ("y3", -233, 3),
        ("y4", 560, 4),
        ("e", 5, 1),
        ("e", -5, 1),
        ("absolute", 5, 1),  # 5² > 3 · 6
        ("e2", 1, 2),
        ("e4", 11, 4),
        ("e2y", 28, 3),  # 28² > 41 · 18
        ("e2y2", 154, 4),
        ("p2", 40, 2),
        ("p2", 79, 2),  # (79 - 41 - 6)² > 4 · 41 · 6
    ],
)
def test_sums_that_no_row_could_have(name: str, value: int, power: int) -> None:
    assert replace(some(), **{name: value * UNIT**power}).consistent() is False


def test_weights_are_those_of_repeated_rows() -> None:
    said, y, times = column([1, 2, 4]), target([0, 2, 1]), torch.tensor([1, 2, 3])
    weighted = OBJECTIVE.loss(said, y, times.double())
    assert weighted.item() == pytest.approx((1 + 0 + 3 * 9) / 6)
    repeated = OBJECTIVE.loss(said.repeat_interleave(times, 0), y.repeat_interleave(times))
    torch.testing.assert_close(weighted, repeated)


def test_refusals() -> None:
    with pytest.raises(ValueError, match="not finite"):
        OBJECTIVE.count(column([math.inf]), target([1]), 10, 5)
    with pytest.raises(ValueError, match="not finite"):
        OBJECTIVE.count(column([1]), target([math.nan]), 10, 5)
    with pytest.raises(ValueError, match="too large"):
        OBJECTIVE.count(column([1e308]), target([1]), 10, 5)
    with pytest.raises(ValueError, match="no rows"):
        OBJECTIVE.loss(column([]), target([]))
    with pytest.raises(ValueError, match="do not fit"):
        OBJECTIVE.loss(column([1, 2]), column([1, 2]))
    with pytest.raises(ConfigError, match="class_weights need classes"):
        OBJECTIVE.row_weights(target([1]))


def test_the_schemas_value_makes_it() -> None:
    schema = TableSchema(columns=(), target="days", question=Value(unit="days", low=0))
    assert objective_of(schema) == OBJECTIVE
    assert (OBJECTIVE.outputs, OBJECTIVE.columns) == (1, ("days",))
    assert OBJECTIVE.predictions(column([3])).tolist() == [[3]]


def test_encode_strata_and_tally() -> None:
    values = np.array([[2.0], [0.5]])
    assert OBJECTIVE.encode(values).tolist() == [2, 0.5]
    assert OBJECTIVE.strata(values[:, 0]).tolist() == [0, 0]
    assert OBJECTIVE.tally(values[:, 0]) == {"days": 2}


def test_a_scaled_value_is_learnt_in_units_of_its_spread_and_told_in_its_own() -> None:
    # y: 100 200 600, learnt as (y - 300) / 200: -1, -0.5, 1.5; said: 300 + 200 o
    scaled = Regression("days", TargetScale(300.0, 200.0))
    outputs, y = column([0.0, -0.5, 2.0]), target([100, 200, 600])
    assert scaled.predictions(outputs).flatten().tolist() == [300.0, 200.0, 700.0]
    assert scaled.loss(outputs, y).item() == pytest.approx((1 + 0 + 0.25) / 3)
    found = scaled.count(outputs, y, 10, 5).metrics()
    assert found["mae"] == 100.0  # of errors 200, 0 and 100
    assert found["loss"] == pytest.approx(scaled.loss(outputs, y).item() * 200**2)
    plain = OBJECTIVE.count(scaled.predictions(outputs), y, 10, 5).metrics()
    assert plain.values == found.values
