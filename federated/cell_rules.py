"""What a raw cell stands for and whether its column allows it: the same in preparation and in the
exported model.

This file travels inside the model, whose environment lacks Wardround: it imports numpy and pandas
alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd
from pandas.api.types import is_bool_dtype, is_numeric_dtype, is_string_dtype

if TYPE_CHECKING:
    Series = pd.Series[Any]
    Rule = Callable[[Series], Series]


MISSING = ("?", ".", "NA", "N/A", "na", "n/a", "NaN", "nan", "NULL", "null", "None", "<NA>", "#N/A")
"""Read as missing in every column, beside blank cells, unless it is one of the column's labels."""
LIMIT = r"[<>≤≥]=?\s*[+-]?\d+(?:[.,]\d+)?"
"""A value beyond what the laboratory can measure."""


_UNSPELT = "a number that a category writes in another way; read the file as text"


class Declared(Protocol):
    """A column as `federated/schema.py` declares it."""

    @property
    def kind(self) -> str: ...
    @property
    def unit(self) -> str: ...
    @property
    def low(self) -> float | None: ...
    @property
    def high(self) -> float | None: ...
    @property
    def codes(self) -> tuple[float, ...]: ...
    @property
    def labels(self) -> tuple[str, ...]: ...
    @property
    def missing(self) -> tuple[str, ...]: ...
    @property
    def other(self) -> float | None: ...


def known(cells: Series, column: Declared) -> Series:
    """Cells without what stands for a missing one; texts without blanks around them."""
    if is_numeric_dtype(cells) and not is_bool_dtype(cells):
        return cells.where(~_is_mark(cells, column)) if column.missing else cells
    stripped = cells.str.strip() if _is_text(cells) else cells.map(_stripped, na_action="ignore")
    marks = {"", *MISSING} - {*column.labels}
    return stripped.where(~(stripped.isin(marks) | _is_mark(stripped, column)))


def numbers(cells: Series, column: Declared) -> Series:
    """Cells as float64; NaN where one is missing, is no finite number or no known label.

    A text without a label has the code of `other`, where the column has one.
    """
    cells = known(cells, column)
    if column.labels:
        values = _labelled(cells, column)
        if column.other is not None:
            values = values.mask(cells.notna() & values.isna(), column.other)
        return values.mask(~_is_spelt(cells, column))
    values = pd.to_numeric(cells, errors="coerce").astype("float64")
    return values.where(np.isfinite(values))


def _labelled(cells: Series, column: Declared) -> Series:
    """The codes of cells that are labels. Of a binary column two numbers are compared as numbers (1
    is 1.0); categories are texts (042 is not 42)."""
    codes = dict(zip(column.labels, column.codes, strict=True))
    if column.kind == "binary":
        values = pd.to_numeric(pd.Series(column.labels), errors="coerce")
        if values.notna().all():
            known = dict(zip(values, column.codes, strict=True))
            return pd.to_numeric(cells, errors="coerce").map(known).astype("float64")
    return cells.map(text, na_action="ignore").map(codes).astype("float64")


def rules(column: Declared) -> list[tuple[str, Rule]]:
    """What a cell must be, in order: the words for one that is not, and which cells are (or are
    missing)."""
    codes = column.labels or tuple(f"{code:g}" for code in column.codes)
    listed = f"not one of {', '.join(codes)}"
    named = [(listed if column.labels else "not a number", _is_number)]
    if column.labels:
        named.insert(0, (_UNSPELT, _is_spelt))
    if codes and not column.labels:
        named.append((listed, _is_code))
    if column.low is not None or column.high is not None:
        named.append((f"outside {_bounds(column)}", _in_range))
    return [(words, partial(rule, column=column)) for words, rule in named]


def hospitals(cells: Series) -> Series:
    """The hospital that each cell names, as its folder is called: 2.0 is hospital 2."""
    return cells.map(lambda cell: folder_name(re.sub(r"^(\d+)\.0+$", r"\1", text(cell).strip())))


def folder_name(hospital: str) -> str:
    """Whatever is not a letter, digit, `.`, `_` or `-` becomes `-`."""
    return re.sub(r"[^\w.-]+", "-", hospital).strip("-.")


def _is_text(cells: Series) -> bool:
    return isinstance(cells.dtype, pd.StringDtype)


def _stripped(cell: object) -> object:
    return cell.strip() if isinstance(cell, str) else cell


def text(cell: object) -> str:
    """A number as its label has it: whole ones without `.0`, which missing cells bring."""
    whole = isinstance(cell, (float, np.floating)) and float(cell).is_integer()
    return str(int(cell)) if whole else str(cell)  # type: ignore[call-overload]


def _is_mark(cells: Series, column: Declared) -> Series:
    """Is a cell one of the column's own marks? A number is one however it is written; where a mark
    lies beyond a limit (<5), every such value is one."""
    if not column.missing:
        return pd.Series(False, index=cells.index)
    texts = cells if _is_text(cells) else cells.map(text, na_action="ignore").astype("str")
    values = pd.to_numeric(pd.Series(column.missing), errors="coerce").dropna()
    found = texts.isin(column.missing) | pd.to_numeric(texts, errors="coerce").isin(values)
    if any(re.fullmatch(LIMIT, mark) for mark in column.missing):
        found |= texts.str.fullmatch(LIMIT).fillna(False).astype("bool")
    return found


def _bounds(column: Declared) -> str:
    """The declared range in words, such as `0 to 300 mm Hg`."""
    low = "-∞" if column.low is None else f"{column.low:g}"
    high = "∞" if column.high is None else f"{column.high:g}"
    return f"{low} to {high} {column.unit}".rstrip()


def _is_number(cells: Series, column: Declared) -> Series:
    return known(cells, column).isna() | numbers(cells, column).notna()


def _is_spelt(cells: Series, column: Declared) -> Series:
    """Is a cell no number that a label writes otherwise? 42 may have been 042 before it was one."""
    if column.kind == "binary" or is_string_dtype(cells):
        return pd.Series(True, index=cells.index)
    values = pd.to_numeric(pd.Series(column.labels), errors="coerce")
    plain = values.map(text, na_action="ignore") == pd.Series(column.labels)
    otherwise = values[values.notna() & ~plain]
    is_text = cells.map(lambda cell: isinstance(cell, str)).astype("bool")
    return is_text | ~pd.to_numeric(cells, errors="coerce").isin(otherwise)


def _is_code(cells: Series, column: Declared) -> Series:
    values = numbers(cells, column)
    return values.isna() | values.isin(column.codes)


def _in_range(cells: Series, column: Declared) -> Series:
    values = numbers(cells, column)
    low = -np.inf if column.low is None else column.low
    high = np.inf if column.high is None else column.high
    return values.isna() | values.between(low, high)
