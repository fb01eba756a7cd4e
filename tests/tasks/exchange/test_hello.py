"""A hello is what a stranger says of itself: whatever is in it, it is a record or is refused."""

from dataclasses import replace
from typing import Any

import pytest

from federated.encoding import Summary
from federated.schema import Coverage, ImageSchema, Value
from federated.statistics import FeatureStatistics, Sums
from federated.tally import Tally
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
    summary=Summary(
        Sums((40, 0), (0.1, 0.0), (1e-18, 0.0)),
        Tally((True, True), (1, 0), ((), (30, 10)), (True, False)),
    ),
)
TALLY = hello_body(HELLO)["tally"]


def test_a_hello_comes_back_to_the_bit() -> None:
    assert hello_in(hello_body(HELLO), "north") == HELLO
    images = ImageSchema(shape=(2, 8, 8), target="ill", classes=("0", "1"))
    other = Hello(HELLO.md5, HELLO.rows, images, HELLO.coverage, Summary(HELLO.summary.sums, None))
    assert hello_in(hello_body(other), "north") == other


def test_a_value_as_target_is_summed_behind_the_features() -> None:
    days = SCHEMA.model_copy(update={"classes": (), "question": Value()})
    sums = Sums((40, 0, 40), (0.1, 0.0, 7.0), (0.0,) * 3)
    told = replace(HELLO, schema=days, summary=replace(HELLO.summary, sums=sums))
    assert hello_in(hello_body(told), "north") == told


def test_statistics_come_back_to_the_bit() -> None:
    found = FeatureStatistics((0.1, 0.0), (1 / 3, 1.0), (40, 0))
    tally = HELLO.summary.tally
    assert statistics_in(statistics_body(found, tally), SCHEMA) == (found, tally)


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
        {"tally": None},
        {"tally": {}},
        {"tally": TALLY | {"levels": [[], [30]]}},
        {"tally": TALLY | {"levels": [[], "30"]}},
        {"tally": TALLY | {"levels": []}},
        {"tally": TALLY | {"read": [True]}},
        {"tally": TALLY | {"read": [True, 1]}},
        {"tally": TALLY | {"missing": [-1, 0]}},
        {"tally": TALLY | {"varies": "yes"}},
        {"tally": TALLY | {"more": []}},
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
