"""Every raw cell against the declared schema, by pandera: which rule it breaks, if any."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from federated.errors import DataError
from federated.objectives import objective_of
from federated.schema import Column, TableSchema

if TYPE_CHECKING:
    import pandera.pandas as pandera
    from numpy.typing import NDArray

    Series = pd.Series[Any]


@dataclass(frozen=True)
class Cells:
    """Raw rows as numbers, and what is wrong with them.

    rows: int64 [n], raw row numbers. values: float64 [n, F], NaN where missing or no number.
    present: bool [n, F], False where missing. targets: as the objective has them, [n] or [n, k];
    class -1 or NaN for none.
    broken: position 0 … n-1 → column → the first rule it breaks.
    absent: column → why it is set aside at every hospital.
    """

    rows: NDArray[np.int64]
    values: NDArray[np.float64]
    present: NDArray[np.bool_]
    targets: NDArray[Any]
    broken: dict[int, dict[str, str]]
    absent: dict[str, str]


def check(frame: pd.DataFrame, schema: TableSchema) -> Cells:
    """Judge raw rows cell by cell; frame's index is the unique row number.

    Raises DataError if a target column is absent.
    """
    from pandera.errors import SchemaErrors

    for column in schema.targets:
        if column.name not in frame:
            raise DataError(f"there is no target column {column.name!r}; name it in data.source")
    broken: dict[int, dict[str, str]] = {}
    absent: dict[str, str] = {}
    try:
        rules(schema).validate(frame, lazy=True)
    except SchemaErrors as error:
        cases = error.failure_cases
        absent = _absent(cases)
        cell_cases = cases[cases["index"].notna()]
        positions = frame.index.get_indexer(pd.Index(cell_cases["index"].astype("int64")))
        names = zip(positions, cell_cases["column"], cell_cases["check"], strict=True)
        for position, column, rule in names:
            reason = "missing" if rule == "not_nullable" else str(rule)
            broken.setdefault(int(position), {}).setdefault(str(column), reason)
    return Cells(
        rows=frame.index.to_numpy(dtype=np.int64),
        values=_values(frame, schema.columns),
        present=frame.reindex(columns=[c.name for c in schema.columns]).notna().to_numpy(),
        targets=objective_of(schema).encode(_values(frame, schema.targets)),
        broken=broken,
        absent=absent,
    )


def _absent(cases: pd.DataFrame) -> dict[str, str]:
    """Columns that the file lacks, and those that the schema lacks."""
    why = {
        "column_in_dataframe": "declared, but not in the file",
        "column_in_schema": "in the file, but not declared",
    }
    whole = cases[cases["check"].isin(list(why))]
    pairs = zip(whole["failure_case"], whole["check"], strict=True)
    return {str(column): why[str(check)] for column, check in pairs}


def numbers(cells: Series, column: Column) -> Series:
    """Cells as float64; NaN where a cell is missing, is no finite number or no known label."""
    if column.labels:
        codes = dict(zip(column.labels, column.codes, strict=True))
        return cells.astype("str").map(codes).astype("float64")
    values = pd.to_numeric(cells, errors="coerce").astype("float64")
    return values.where(np.isfinite(values))


def _values(frame: pd.DataFrame, columns: Sequence[Column]) -> NDArray[np.float64]:
    values = np.full((len(frame), len(columns)), np.nan)
    for i, column in enumerate(columns):
        if column.name in frame:
            values[:, i] = numbers(frame[column.name], column)
    return values


@lru_cache(maxsize=8)
def rules(schema: TableSchema) -> pandera.DataFrameSchema:
    """The schema as pandera's: extra and absent columns are failures, missing cells are not."""
    import pandera.pandas as pandera

    columns = {c.name: pandera.Column(checks=_checks(c), nullable=True) for c in schema.columns}
    columns |= {c.name: pandera.Column(checks=_checks(c), nullable=False) for c in schema.targets}
    return pandera.DataFrameSchema(columns, strict=True)


def _checks(column: Column) -> list[pandera.Check]:
    """A column's rules, each named as it is counted in the coverage table."""
    import pandera.pandas as pandera

    codes = column.labels or tuple(f"{code:g}" for code in column.codes)
    named = [(_is_number, f"not one of {', '.join(codes)}" if column.labels else "not a number")]
    if codes and not column.labels:
        named.append((_is_code, f"not one of {', '.join(codes)}"))
    if column.low is not None or column.high is not None:
        named.append((_in_range, f"outside {_bounds(column)}"))
    return [pandera.Check(partial(rule, column=column), error=name) for rule, name in named]


def _bounds(column: Column) -> str:
    """The declared range in words, such as `0 to 300 mm Hg`."""
    low = "-∞" if column.low is None else f"{column.low:g}"
    high = "∞" if column.high is None else f"{column.high:g}"
    return f"{low} to {high} {column.unit}".rstrip()


def _is_number(cells: Series, column: Column) -> Series:
    return cells.isna() | numbers(cells, column).notna()


def _is_code(cells: Series, column: Column) -> Series:
    values = numbers(cells, column)
    return values.isna() | values.isin(column.codes)


def _in_range(cells: Series, column: Column) -> Series:
    values = numbers(cells, column)
    low = -np.inf if column.low is None else column.low
    high = np.inf if column.high is None else column.high
    return values.isna() | values.between(low, high)
