"""Raw cells as texts: one spelling for one number where cells are numbers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    Series = pd.Series[Any]


_PLAIN = r"[+-]?(\d+\.?\d*|\.\d+)"


NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
"""A finite number, as a text."""


def is_text(cells: Series) -> bool:
    """Are the cells texts, with or without missing ones?"""
    from pandas import StringDtype

    return isinstance(cells.dtype, StringDtype)


def as_text(cells: Series) -> Series:
    """Numbers as a person writes them (2.0 is `2`), anything else as it is; missing stays so."""
    from federated.cell_rules import text

    if is_text(cells):
        return cells
    return cells.map(text, na_action="ignore").astype("str")


def matches(cells: Series, pattern: str) -> Series:
    """Is a cell a text that is all of the pattern (RE2's)? False where it is missing.

    pandas' own goes through Python's `re`, cell by cell.
    """
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc

    hits = pc.match_substring_regex(pa.array(cells.astype("str")), f"^(?:{pattern})$")
    return pd.Series(hits.fill_null(False).to_numpy(zero_copy_only=False), index=cells.index)


def numbers(cells: Series) -> Series:
    """Cells as float64, NaN where one is missing or no finite number."""
    import numpy as np
    import pandas as pd

    if is_text(cells):
        cells = cells.where(matches(cells, NUMBER))
    values = pd.to_numeric(cells, errors="coerce").astype("float64")
    return values.where(np.isfinite(values))


def same_numbers(cells: Series) -> Series:
    """Texts in which 0, 0.0 and 00 are `0`, where all known ones are numbers; else as they are.

    A text with an exponent, such as 1e5, is a code that only looks like a number.
    """
    texts = as_text(cells)
    known = texts.dropna().unique()
    if not all(is_plain_number(code.strip()) for code in known):
        return texts
    return texts.map({code: code_text(code) for code in known}).astype("str")


def code_text(code: str) -> str:
    """A code as `same_numbers` spells it: 2.0 is `2`."""
    from federated.cell_rules import text

    plain = code.strip()
    return text(float(plain)) if is_plain_number(plain) else plain


def is_plain_number(code: str) -> bool:
    """Is it a number without an exponent?"""
    return re.fullmatch(_PLAIN, code) is not None


def number(code: str) -> float | None:
    """The finite number that a text is, if it is one."""
    try:
        value = float(code)
    except ValueError:
        return None
    return value if abs(value) < float("inf") else None
