"""Which columns of a raw table are no features, unless somebody says so, and why."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from federated.texts import as_text, matches, numbers, same_numbers

if TYPE_CHECKING:
    import pandas as pd

    Series = pd.Series[Any]

_FEWEST = 20
"""In a table of fewer rows, columns may be alike by chance."""
_DATE = r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}(?:[ T].*)?|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}(?: .*)?"
_DATES = 0.9
"""A column with a larger share of dates holds dates."""
_ID = re.compile(
    r"(^|[ _.-])(id|ids|mrn|pid|uid|guid|nr|no|number|index|row|record|case|patient|subject|person)"
    r"($|[ _.-])|[a-z]I[Dd]$",
    re.IGNORECASE,
)
_SITE = re.compile(
    r"(site|hospital|centre|center|clinic|institution)([ _.-]?(id|no|nr|code|number|name))?",
    re.IGNORECASE,
)
_COINCIDENCES = 5.0
_SPELLINGS = 3
"""In more ways nobody writes one number: 1, 1.0 and 01."""
_IN_LINE = 1 - 1e-9


def unused(
    frame: pd.DataFrame, targets: Collection[str], hospitals: Series | None, kept: Collection[str]
) -> dict[str, str]:
    """Column → why it is no feature; never one of `targets`, and none that is `kept`."""
    rules: list[Callable[[Series], str | None]] = [_nameless, _dates]
    if len(frame) >= _FEWEST:
        rules += [_constant, _id, *(partial(_tells, target=frame[name]) for name in targets)]
        rules += [partial(_is_hospital, hospitals=hospitals)]
    why: dict[str, str] = {}
    for name in frame.columns:
        if name not in targets and name not in kept:
            reasons = (rule(frame[name]) for rule in rules)
            reason = next((text for text in reasons if text is not None), None)
            why |= {str(name): reason} if reason is not None else {}
    return why


def sentences(why: dict[str, str]) -> Iterator[str]:
    """A note for each column that is not used."""
    for name, reason in why.items():
        yield f"column {name!r} is not used: {reason}; data.source.keep uses it all the same"


def _nameless(cells: Series) -> str | None:
    unnamed = re.fullmatch(r"Unnamed: \d+|__index_level_\d+__", str(cells.name))
    return "it had no name when it was written" if unnamed else None


def _dates(cells: Series) -> str | None:
    from pandas.api import types

    known = cells.dropna()
    if types.is_datetime64_any_dtype(cells):
        return "it holds dates, from which an age or a number of days may be worked out"
    if types.is_numeric_dtype(cells) or known.empty:
        return None
    if matches(known, _DATE).mean() < _DATES:
        return None
    return "it holds dates, from which an age or a number of days may be worked out"


def _constant(cells: Series) -> str | None:
    if cells.isna().all():
        return "it is empty"
    same = not cells.isna().any() and cells.nunique() == 1
    return "it has one value in every row" if same else None


def _id(cells: Series) -> str | None:
    """Texts, or whole numbers that are no measurement, of which every row has its own."""
    if cells.isna().any() or not cells.is_unique:
        return None
    texts = as_text(cells)
    if not matches(texts, r"[+-]?\d+").all():
        return None if numbers(cells).notna().any() else "it has another text in every row"
    values = numbers(cells)
    # so many equal pairs were to be expected of numbers drawn between the least and the largest
    pairs = len(values) ** 2 / 2 / (values.max() - values.min() + 1)
    ordered = values.is_monotonic_increasing or values.is_monotonic_decreasing
    if ordered or pairs > _COINCIDENCES or _ID.search(str(cells.name)):
        return "it has another number in every row, as an id has"
    return None


def _tells(cells: Series, target: Series) -> str | None:
    """A column that says the target in other words, or is filled in for one outcome alone."""
    if _one_to_one(cells, target) or _in_line(cells, target):
        return f"it says the same as {str(target.name)!r}, which is to be predicted"
    if cells.isna().any() and _one_to_one(cells.isna(), target):
        return f"whether it is filled in says {str(target.name)!r}, which is to be predicted"
    return None


def _is_hospital(cells: Series, hospitals: Series | None) -> str | None:
    if hospitals is None:
        named = _SITE.fullmatch(str(cells.name))
        return "it seems to name the hospital (data.source.hospital)" if named else None
    same = _one_to_one(cells, hospitals)
    return "it says which hospital a row is from" if same else None


def _one_to_one(left: Series, right: Series) -> bool:
    """Does each of the two tell the other, in the rows (over half of all) that know both?"""
    known = left.notna() & right.notna()
    if known.sum() * 2 <= len(known) or left.nunique() > _SPELLINGS * right.nunique():
        return False
    left, right = same_numbers(left[known]), same_numbers(right[known])
    pairs = left.str.cat(right, sep="\0")
    counts = {cells.nunique() for cells in (left, right, pairs)}
    return len(counts) == 1 and 1 < counts.pop() <= known.sum() / 2


def _in_line(cells: Series, target: Series) -> bool:
    """Are both numbers, the one the other in another unit, in over half of all rows?"""
    import pandas as pd

    if target.nunique() <= len(target) / 2:
        return False
    known = pd.DataFrame({"x": numbers(cells), "y": numbers(target)}).dropna()
    if len(known) * 2 <= len(cells) or known["x"].nunique() <= len(known) / 2:
        return False
    return abs(float(known["x"].corr(known["y"]))) > _IN_LINE
