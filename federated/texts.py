"""Raw cells as texts: one spelling for one number where cells are numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    Series = pd.Series[Any]


def as_text(cells: Series) -> Series:
    """Numbers as a person writes them (2.0 is `2`), anything else as it is; missing stays so."""
    from federated.cell_rules import text

    return cells.map(text, na_action="ignore").astype("str")


def same_numbers(cells: Series) -> Series:
    """Texts in which 0, 0.0 and 00 are `0`, where all known ones are numbers; else as they are."""
    import pandas as pd

    from federated.cell_rules import text

    texts = as_text(cells)
    values = pd.to_numeric(texts, errors="coerce")
    if values.isna().equals(texts.isna()):
        return values.map(text, na_action="ignore").astype("str")
    return texts


def code_text(code: str) -> str:
    """A code as `same_numbers` spells it: 2.0 is `2`."""
    from federated.cell_rules import text

    value = number(code)
    return code.strip() if value is None else text(value)


def number(code: str) -> float | None:
    """The finite number that a text is, if it is one."""
    try:
        value = float(code)
    except ValueError:
        return None
    return value if abs(value) < float("inf") else None
