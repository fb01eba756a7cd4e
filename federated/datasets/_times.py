"""When each row was, read strictly: as ISO 8601 writes it, or in the one format that is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import field_validator

from federated.errors import DataError
from federated.schema import Record
from federated.texts import as_text

if TYPE_CHECKING:
    import pandas as pd

    Series = pd.Series[Any]

NUMBER = "number"
_MOMENT = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?"
_ISO = rf"\d{{4}}(-\d\d(-\d\d)?)?|{_MOMENT}"
_ZONED = rf"{_MOMENT}(Z|[+-]\d\d(:?\d\d)?)"
_EITHER = r"\d{1,2}[-/. ]\d{1,2}[-/. ]\d{2,4}.*"
_SHOWN = 5


class TimeSplit(Record):
    """by: the column of times. format: how they are written, in the codes of strptime (%d/%m/%Y),
    or `number` for whole numbers of which a larger one is later; null is ISO 8601."""

    by: str
    format: str | None = None

    @field_validator("format")
    @classmethod
    def _says_how(cls, how: str | None) -> str | None:
        if how is not None and how != NUMBER and "%" not in how:
            raise ValueError("expected codes of strptime, such as %d/%m/%Y, or number")
        return how


def times_of(cells: Series, how: TimeSplit, where: str) -> pd.Series[int]:
    """Each row's time as int64, the larger the later: microseconds since 1970, or the number.

    Raises DataError, naming rows and key, for a row without a time and for cells written otherwise.
    """
    import pandas as pd
    from pandas.api import types

    _all_known(cells, how, where)
    if how.format == NUMBER:
        return _numbers(cells, how, where)
    if types.is_datetime64_any_dtype(cells):
        return _microseconds(cells)
    texts = as_text(cells)
    if how.format is None:
        iso, zoned = texts.str.fullmatch(_ISO), texts.str.fullmatch(_ZONED)
        _refuse(~(iso | zoned), texts, how, where)
        if iso.any() and zoned.any():
            _raise(zoned, how, where, "name a time zone where others name none; write all alike")
    format = how.format or "ISO8601"
    found = pd.to_datetime(texts, format=format, errors="coerce", utc=True)
    _refuse(found.isna(), texts, how, where)
    return _microseconds(found)


def _all_known(cells: Series, how: TimeSplit, where: str) -> None:
    if cells.isna().any():
        _raise(cells.isna(), how, where, "are empty; fill them in or remove the rows")


def _numbers(cells: Series, how: TimeSplit, where: str) -> pd.Series[int]:
    import pandas as pd

    found = pd.to_numeric(cells, errors="coerce").astype("float64")
    whole = (found % 1 == 0) & (found.abs() < 2**53)
    if not whole.all():
        _raise(~whole, how, where, "are no whole numbers, as data.source.split.format says")
    return found.astype("int64")


def _microseconds(times: Series) -> pd.Series[int]:
    import pandas as pd

    return pd.to_datetime(times, utc=True).astype("datetime64[us, UTC]").astype("int64")


def _refuse(bad: Series, texts: Series, how: TimeSplit, where: str) -> None:
    """Raise DataError for the bad ones."""
    if not bad.any():
        return
    if how.format is not None:
        _raise(bad, how, where, f"are not written as {how.format} (data.source.split.format)")
    either = texts[bad].str.fullmatch(_EITHER).all()
    known = "may be day/month or month/day" if either else "are no dates as ISO 8601 writes them"
    _raise(
        bad,
        how,
        where,
        f"{known}: say how they are written in data.source.split.format, such as "
        "%d/%m/%Y or %m/%d/%Y, or number",
    )


def _raise(bad: Series, how: TimeSplit, where: str, why: str) -> None:
    at = [str(row) for row in bad.index[bad]]
    rows = ", ".join(at[:_SHOWN]) + (", …" if len(at) > _SHOWN else "")
    raise DataError(f"{where}: {len(at)} cells of column {how.by!r} (row number {rows}) {why}")
