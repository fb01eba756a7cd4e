"""A hello is what a stranger says of itself: whatever is in it, it is a record or is refused."""

from typing import Any

import pytest

from federated.schema import Coverage
from federated.statistics import FeatureStatistics, Sums
from federated.types import RowCounts
from tasks.exchange.hello import (
    Hello,
    floats,
    hello_body,
    hello_in,
    hexes,
    statistics_body,
    statistics_in,
)
from tasks.exchange.refusal import RefusalError
from tests.tasks.exchange.test_policy import SCHEMA

HELLO = Hello(
    md5="0" * 32,
    rows=RowCounts(40, 5, 10, 40),
    schema=SCHEMA,
    coverage=Coverage(hospital="north", rows=55, kept=55, classes={"0": 30, "1": 25}),
    sums=Sums((40, 0), (0.1, 0.0), (1e-18, 0.0)),
)


def test_a_hello_comes_back_to_the_bit() -> None:
    assert hello_in(hello_body(HELLO), "north") == HELLO
    without = Hello(HELLO.md5, HELLO.rows, SCHEMA, HELLO.coverage, None)
    assert hello_in(hello_body(without), "north") == without


def test_statistics_come_back_to_the_bit() -> None:
    found = FeatureStatistics((0.1, 0.0), (1 / 3, 1.0), (40, 0))
    assert statistics_in(statistics_body(found), 2) == found


@pytest.mark.parametrize(
    "fields",
    [
        {"md5": 3},
        {"md5": "../../etc/passwd"},
        {"rows": [40, 5]},
        {"rows": [40, 5, -1]},
        {"rows": [40, 5, True]},
        {"rows": {}},
        {"schema": "{}"},
        {"schema": None},
        {"coverage": "[]"},
        {"coverage": 7},
        {"sums": {}},
        {"sums": []},
        {"sums": 0},
        {"sums": {"count": [40, 0], "total": hexes([0.1]), "rest": hexes([0, 0])}},
        {"sums": {"count": [40, 0], "total": ["nan", "0x0p+0"], "rest": hexes([0, 0])}},
        {"sums": {"count": [40, 0], "total": [0.1, 0.0], "rest": hexes([0, 0])}},
        {"more": 1},
    ],
)
def test_anything_else_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(RefusalError) as found:
        hello_in(hello_body(HELLO) | fields, "north")
    assert found.value.check in ("form", "finite")


def test_a_hospital_speaks_for_itself_alone() -> None:
    with pytest.raises(RefusalError, match="hospital"):
        hello_in(hello_body(HELLO), "south")


@pytest.mark.parametrize("values", [None, "0x1p+0", ["0x1p+0"], ["x", "y"], ["inf", "0x1p+0"]])
def test_numbers_are_as_many_as_are_wanted_and_finite(values: Any) -> None:
    with pytest.raises(RefusalError):
        floats(values, 2)
