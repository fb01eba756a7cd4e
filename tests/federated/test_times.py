"""Times are read strictly: what may be two dates is neither, and the message names the key."""

from datetime import date

import pandas as pd
import pytest

from federated.datasets._times import TimeSplit, times_of
from federated.errors import ConfigError, DataError
from federated.plugins import create

ISO, DAY_FIRST = TimeSplit(by="seen"), TimeSplit(by="seen", format="%d/%m/%Y")


def cells(*values: object) -> "pd.Series":
    return pd.Series([*values], index=range(1, len(values) + 1), name="seen")


def order(*values: object, how: TimeSplit = ISO) -> list[int]:
    """Ranks of the times, from 0."""
    ranks = times_of(cells(*values), how, "mine.csv").rank(method="dense") - 1
    return [int(rank) for rank in ranks]


@pytest.mark.parametrize(
    "values",
    [
        ("2019", "2020", "2021"),
        ("2019-02", "2019-11", "2020-01"),
        ("2019-02-28", "2019-03-01", "2019-12-31"),
        ("0987-01-01", "2019-03-01", "2019-03-01 00:00:01"),
        ("2019-03-01T09:30", "2019-03-01T10:30:00.5", "2019-03-01 10:31"),
        ("2019-03-01T12:00+03:00", "2019-03-01T10:00Z", "2019-03-01T06:00-05:00"),
        (pd.Timestamp("2019-03-01"), pd.Timestamp("2019-03-02"), pd.Timestamp("2020-01-01")),
        (date(2019, 3, 1), date(2019, 3, 2), date(2020, 1, 1)),
        (2019, 2020, 2021),
    ],
)
def test_iso_8601(values: tuple[object, ...]) -> None:
    assert order(*values) == [0, 1, 2]
    assert order(*values[::-1]) == [2, 1, 0]


def test_a_format_that_is_given() -> None:
    assert order("02/01/2020", "01/02/2020", how=DAY_FIRST) == [0, 1]
    month_first = TimeSplit(by="seen", format="%m/%d/%Y")
    assert order("02/01/2020", "01/02/2020", how=month_first) == [1, 0]
    assert order("-3", "7", "7.0", how=TimeSplit(by="seen", format="number")) == [0, 1, 1]


@pytest.mark.parametrize(
    ("values", "how", "message"),
    [
        (
            ("2019-01-01", "02/01/2020"),
            ISO,
            r"row number 2\) may be day/month or month/day: say",
        ),
        (("02.01.20",), ISO, r"data\.source\.split\.format, such as %d/%m/%Y"),
        (("last week", "17897"), ISO, r"row number 1, 2\) are no dates as ISO 8601"),
        (("2019-02-30",), ISO, "are no dates"),
        (("2019-13-01",), ISO, "are no dates"),
        (("2019-1-1",), ISO, "are no dates"),
        (("31/12/2020", "12/31/2020"), DAY_FIRST, r"row number 2\) are not written as %d/%m/%Y"),
        (("2019-01-01", None), ISO, r"row number 2\) are empty; fill them in"),
        (("2019-01-01T10:00", "2019-01-01T10:00Z"), ISO, "name a time zone where others name none"),
        (("1.5",), TimeSplit(by="seen", format="number"), "are no whole numbers"),
    ],
)
def test_what_is_not_a_time_is_named(
    values: tuple[object, ...], how: TimeSplit, message: str
) -> None:
    with pytest.raises(DataError, match=f"mine.csv: . cells of column 'seen' .*{message}"):
        times_of(cells(*values), how, "mine.csv")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"by": "seen", "format": "dmy"}, "expected codes of strptime"),
        ({"format": "%Y"}, r"split\.by: Field required"),
        ({"by": "seen", "unit": "day"}, r"split\.unit: Extra inputs"),
    ],
)
def test_the_keys_are_checked(given: dict[str, str], message: str) -> None:
    named = {"path": "mine.csv", "target": "ill"}
    with pytest.raises(ConfigError, match=message):
        create("federated.datasets", "table", {**named, "split": given}, "source")
