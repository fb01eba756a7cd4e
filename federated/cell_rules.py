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
from pandas.api.types import is_bool_dtype, is_numeric_dtype

if TYPE_CHECKING:
    Series = pd.Series[Any]
    Rule = Callable[[Series], Series]


class Declared(Protocol):
    """A column as `federated/schema.py` declares it."""

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
    stripped = cells.map(_stripped, na_action="ignore")
    return stripped.where(~((stripped == "") | _is_mark(stripped, column)))


def numbers(cells: Series, column: Declared) -> Series:
    """Cells as float64; NaN where one is missing, is no finite number or no known label.

    A text without a label has the code of `other`, where the column has one.
    """
    cells = known(cells, column)
    if column.labels:
        codes = dict(zip(column.labels, column.codes, strict=True))
        values = cells.map(text, na_action="ignore").map(codes).astype("float64")
        return (
            values
            if column.other is None
            else values.mask(cells.notna() & values.isna(), column.other)
        )
    values = pd.to_numeric(cells, errors="coerce").astype("float64")
    return values.where(np.isfinite(values))


def rules(column: Declared) -> list[tuple[str, Rule]]:
    """What a cell must be, in order: the words for one that is not, and which cells are (or are
    missing)."""
    codes = column.labels or tuple(f"{code:g}" for code in column.codes)
    listed = f"not one of {', '.join(codes)}"
    named = [(listed if column.labels else "not a number", _is_number)]
    if codes and not column.labels:
        named.append((listed, _is_code))
    if column.low is not None or column.high is not None:
        named.append((f"outside {_bounds(column)}", _in_range))
    return [(words, partial(rule, column=column)) for words, rule in named]


def hospitals(cells: Series) -> Series:
    """The hospital that each cell names, as its folder is called."""
    return cells.map(lambda cell: folder_name(str(_stripped(_text(cell)))))


def folder_name(hospital: str) -> str:
    """Whatever is not a letter, digit, `.`, `_` or `-` becomes `-`."""
    return re.sub(r"[^\w.-]+", "-", hospital).strip("-.")


def _stripped(cell: object) -> object:
    return cell.strip() if isinstance(cell, str) else cell


def text(cell: object) -> str:
    """A number as its label has it: whole ones without `.0`, which missing cells bring."""
    whole = isinstance(cell, (float, np.floating)) and float(cell).is_integer()
    return str(int(cell)) if whole else str(cell)  # type: ignore[call-overload]


def _is_mark(cells: Series, column: Declared) -> Series:
    return cells.map(text, na_action="ignore").isin(column.missing)


def _bounds(column: Declared) -> str:
    """The declared range in words, such as `0 to 300 mm Hg`."""
    low = "-∞" if column.low is None else f"{column.low:g}"
    high = "∞" if column.high is None else f"{column.high:g}"
    return f"{low} to {high} {column.unit}".rstrip()


def _is_number(cells: Series, column: Declared) -> Series:
    return known(cells, column).isna() | numbers(cells, column).notna()


def _is_code(cells: Series, column: Declared) -> Series:
    values = numbers(cells, column)
    return values.isna() | values.isin(column.codes)


def _in_range(cells: Series, column: Declared) -> Series:
    values = numbers(cells, column)
    low = -np.inf if column.low is None else column.low
    high = np.inf if column.high is None else column.high
    return values.isna() | values.between(low, high)
