"""Raw cells as texts: one spelling for one number where cells are numbers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    Series = pd.Series[Any]


_PLAIN = r"[+-]?(\d+\.?\d*|\.\d+)"


def as_text(cells: Series) -> Series:
    """Numbers as a person writes them (2.0 is `2`), anything else as it is; missing stays so."""
    from federated.cell_rules import text

    return cells.map(text, na_action="ignore").astype("str")


def same_numbers(cells: Series) -> Series:
    """Texts in which 0, 0.0 and 00 are `0`, where all known ones are numbers; else as they are.

    A text with an exponent, such as 1e5, is a code that only looks like a number.
    """
    import pandas as pd

    from federated.cell_rules import text

    texts = as_text(cells)
    known = texts.dropna()
    if not known.str.fullmatch(_PLAIN).all():
        return texts
    return pd.to_numeric(texts).map(text, na_action="ignore").astype("str")


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
