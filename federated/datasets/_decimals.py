"""Decimal commas to decimal points, and thousands separators refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from federated.errors import DataError
from federated.texts import matches

if TYPE_CHECKING:
    import pandas as pd

    Series = pd.Series[Any]

_COMMA = r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?"
_POINT = r"[+-]?\d*\.\d+(?:[eE][+-]?\d+)?"
_WHOLE = r"[+-]?\d+\.00?"
"""1.0, as software writes a whole number beside missing ones, whatever its decimal mark."""
_EITHER = r"[+-]?[1-9]\d{0,2},\d{3}"
"""A thousand, or three decimal places."""
_SPACES = " '’\u00a0\u202f"
_GROUPED = (
    r"[+-]?[1-9]\d{0,2}(?:(?:,\d{3})+\.\d+|(?:,\d{3}){2,}|(?:\.\d{3})+,\d+|(?:\.\d{3}){2,}"
    rf"|(?:[{_SPACES}]\d{{3}})+(?:[.,]\d+)?)"
)
"""Digits in groups of three, beyond doubt."""
_NUMBER = rf"[+-]?\d+|{_COMMA}|{_POINT}|{_GROUPED}"
_SOME = 0.2
"""A column with a larger share of numbers holds numbers, whatever else."""


def with_points(
    frame: pd.DataFrame, decimal: str | None, where: str
) -> tuple[pd.DataFrame, list[str]]:
    """Texts in which every number has a decimal point, and a note if the file has commas.

    decimal: the mark, if it is known. Raises DataError, naming the column, for thousands
    separators, for both marks, and where a comma could be either.
    """
    numbers = {name: cells for name, cells in frame.items() if _share(cells, _NUMBER) > _SOME}
    for name, cells in numbers.items():
        if _share(cells, _GROUPED):
            raise DataError(
                f"{where}: column {name!r} has thousands separators; write plain numbers"
            )
    commas = [name for name, cells in numbers.items() if _share(cells, _COMMA)]
    if decimal == "." or not commas:
        return frame, []
    points = [n for n, cells in numbers.items() if _share(cells, _POINT) > _share(cells, _WHOLE)]
    if points:
        raise DataError(
            f"{where}: decimal commas in column {str(commas[0])!r} and decimal points in "
            f"{str(points[0])!r}; write one of the two"
        )
    if decimal is None and all(
        _share(numbers[name], _EITHER) == _share(numbers[name], _COMMA) for name in commas
    ):
        raise DataError(
            f"{where}: column {str(commas[0])!r}: its commas may separate thousands or decimals; "
            'say data.source.csv: {decimal: ","}, or write plain numbers'
        )
    swapped = {str(name): _swapped(numbers[name]) for name in commas}
    said = f"{where}: decimal commas in {', '.join(swapped)}"
    return frame.assign(**swapped), [] if decimal else [said]


def _swapped(cells: Series) -> Series:
    return cells.mask(matches(cells, _COMMA), cells.str.replace(",", ".", regex=False))


def _share(cells: Series, pattern: str) -> float:
    """The share of a column's known cells that match; 0 of none."""
    known = int(cells.notna().sum())
    return float(matches(cells, pattern).sum()) / known if known else 0.0
