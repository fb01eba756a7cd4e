"""Cells that stand for a value nobody knows: which marks a file uses, and how often."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from federated.texts import NUMBER, matches, number, numbers

if TYPE_CHECKING:
    import pandas as pd

    Series = pd.Series[Any]

_IN_NUMBERS = (
    "-, --, *, **, x, none, unknown, unk, missing, nd, n.d., n.a., n.k., nk, pending, not done, "
    "not available, not known, #value!, #div/0!, #null!, #num!, #ref!"
)
IN_NUMBERS = frozenset(_IN_NUMBERS.split(", "))
"""Read as missing among numbers, in any case of letters."""
_COMMON, _SHARE, _LONGEST = 5, 0.01, 20  # cells, of the known ones, letters
_FEWEST = 3  # cells

Counts = Mapping[str, Mapping[str, int]]
"""mark → column → cells that it stood in."""


def everywhere(
    frame: pd.DataFrame,
    more: Iterable[str | float] = (),
    present: Collection[str] = (),
    names: Collection[str] = (),
) -> tuple[pd.DataFrame, dict[str, dict[str, int]]]:
    """Missing for blank cells and for marks: `cell_rules.MISSING` and `more`, without `present`.

    A number among the marks is one however it is written: -9 is -9.0. In the columns `names` only a
    blank is missing. Returns Counts, too.
    """
    from federated.cell_rules import MISSING

    marks = [mark for mark in MISSING if mark not in present] + [str(mark) for mark in more]
    codes = {value: mark for mark in marks if (value := number(mark)) is not None}
    counts: dict[str, dict[str, int]] = {}
    columns = {}
    for name in frame.columns:
        plain = name in names
        found = _marked(frame[name], [] if plain else marks, {} if plain else codes)
        columns[name] = frame[name].mask(found.notna()) if found.notna().any() else frame[name]
        for mark, cells in found[found != ""].value_counts().items():
            counts.setdefault(str(mark), {})[str(name)] = int(cells)
    return frame.assign(**columns), counts


def among_numbers(cells: Series) -> tuple[Series, dict[str, int]]:
    """Missing for what stands for a missing number in a column of numbers; mark → cells.

    That is a mark of IN_NUMBERS, a value beyond a limit, and, where over half of the rest are
    numbers, one other text or two that keep coming back, such as `haemolysed`.
    """
    texts = cells.dropna().astype("str")
    others = texts[~matches(texts, NUMBER)]
    tally = {str(text): int(count) for text, count in others.value_counts().items()}
    marks = {text for text in tally if text.casefold() in IN_NUMBERS or _is_limit(text)}
    rest = [text for text in tally if text not in marks]
    if len(rest) <= 2 and sum(tally[text] for text in rest) < len(texts) - len(others):
        least = max(_COMMON, _SHARE * len(texts))
        marks |= {text for text in rest if tally[text] >= least and len(text) <= _LONGEST}
    hit = others.isin(marks).reindex(cells.index, fill_value=False)
    return cells.mask(hit), {text: count for text, count in tally.items() if text in marks}


def suspect(cells: Series) -> str | None:
    """A note if a number that often means missing, such as -9 or 999, lies far from the others."""
    values = numbers(cells).dropna().to_numpy()
    for code in (-1, -9, -99, -999, -9999, 99, 999, 9999, 99999):
        others = values[values != code]
        count = len(values) - len(others)
        if count < max(_FEWEST, _SHARE * len(values)) or not len(others):
            continue
        low, high = float(others.min()), float(others.max())
        if low >= 0 > code or code - high > high - low:
            return (
                f"column {cells.name!r}: {count} cells hold {code}, far from all others; if that "
                "means missing, name it in data.source.missing"
            )
    return None


def sentences(counts: Counts) -> list[str]:
    """What was read as missing, a sentence a mark, and one for all values beyond a limit."""
    limits = [mark for mark in counts if _is_limit(mark)]
    found = [f"{mark!r} {_read(counts[mark])}" for mark in counts if mark not in limits]
    beyond: Counter[str] = Counter()
    for mark in limits:
        beyond.update(counts[mark])
    shown = ", ".join(limits[:3]) + (", …" if len(limits) > 3 else "")
    return found + [f"values beyond a limit ({shown}) {_read(beyond)}"] * bool(limits)


def _read(columns: Mapping[str, int]) -> str:
    where = ", ".join(f"{name} ({cells} cells)" for name, cells in columns.items())
    return f"read as missing in {where}"


def _is_limit(text: str) -> bool:
    from federated.cell_rules import LIMIT

    return re.fullmatch(LIMIT, text) is not None


def _marked(cells: Series, marks: list[str], codes: Mapping[float, str]) -> Series:
    """The mark that stands in each cell, "" for a blank one, and missing for any other."""
    import pandas as pd
    from pandas.api import types

    if not types.is_numeric_dtype(cells) or types.is_bool_dtype(cells):
        texts = cells.astype("str")
        found = texts.where(texts.isin([*marks, ""]))
    else:
        found = pd.Series(pd.NA, index=cells.index, dtype="str")
    if not codes:
        return found
    values = numbers(cells)
    return found.fillna(values.map(dict(codes)).astype("str"))
