"""Every raw cell against the declared schema, by pandera: which rule it breaks, if any."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from federated import cell_rules
from federated.errors import DataError
from federated.objectives import objective_of
from federated.schema import Column, TableSchema

if TYPE_CHECKING:
    import pandera.pandas as pandera
    from numpy.typing import NDArray

    Series = pd.Series[Any]


MISSING = "missing"
"""The rule that a cell of a target breaks if there is none."""


@dataclass(frozen=True)
class Cells:
    """Raw rows as numbers, and what is wrong with them.

    rows: int64 [n], raw row numbers. values: float64 [n, F], NaN where missing or no number.
    present: bool [n, F], False where missing. targets: as the objective has them, [n] or [n, k];
    class -1 or NaN for none.
    broken: position 0 … n-1 → column → the first rule it breaks.
    strange: target column → position → the code there that it does not know, as text; "" for what
    is no number, which may be a patient's own.
    absent: column → why it is set aside at every hospital.
    """

    rows: NDArray[np.int64]
    values: NDArray[np.float64]
    present: NDArray[np.bool_]
    targets: NDArray[Any]
    broken: dict[int, dict[str, str]]
    strange: dict[str, dict[int, str]]
    absent: dict[str, str]


def check(frame: pd.DataFrame, schema: TableSchema) -> Cells:
    """Judge raw rows cell by cell; frame's index is the unique row number.

    Raises DataError if a target column is absent.
    """
    from pandera.errors import SchemaErrors

    for column in schema.targets:
        if column.name not in frame:
            raise DataError(f"there is no target column {column.name!r}; name it in data.source")
    frame = _known(frame, schema)
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
            reason = MISSING if rule == "not_nullable" else str(rule)
            broken.setdefault(int(position), {}).setdefault(str(column), reason)
    return Cells(
        rows=frame.index.to_numpy(dtype=np.int64),
        values=_values(frame, schema.columns),
        present=frame.reindex(columns=[c.name for c in schema.columns]).notna().to_numpy(),
        targets=objective_of(schema).encode(_values(frame, schema.targets)),
        broken=broken,
        strange=_strange(frame, schema, broken),
        absent=absent,
    )


def _strange(
    frame: pd.DataFrame, schema: TableSchema, broken: dict[int, dict[str, str]]
) -> dict[str, dict[int, str]]:
    """What `Cells` says of codes that a target does not know."""
    found: dict[str, dict[int, str]] = {column.name: {} for column in schema.targets}
    for column in schema.targets:
        cells = frame[column.name]
        none = cell_rules.numbers(cells, column).isna().to_numpy()
        for position, rule in ((i, rules_of.get(column.name)) for i, rules_of in broken.items()):
            if rule not in (None, MISSING) and (column.codes or none[position]):
                found[column.name][position] = (
                    cell_rules.text(cells.iloc[position]) if column.codes else ""
                )
    return found


def _known(frame: pd.DataFrame, schema: TableSchema) -> pd.DataFrame:
    """The frame with what stands for a missing cell of a declared column made missing."""
    columns = [c for c in (*schema.columns, *schema.targets) if c.name in frame]
    return frame.assign(**{c.name: cell_rules.known(frame[c.name], c) for c in columns})


def _absent(cases: pd.DataFrame) -> dict[str, str]:
    """Columns that the file lacks, and those that the schema lacks."""
    why = {
        "column_in_dataframe": "declared, but not in the file",
        "column_in_schema": "in the file, but not declared",
    }
    whole = cases[cases["check"].isin(list(why))]
    pairs = zip(whole["failure_case"], whole["check"], strict=True)
    return {str(column): why[str(check)] for column, check in pairs}


def _values(frame: pd.DataFrame, columns: Sequence[Column]) -> NDArray[np.float64]:
    values = np.full((len(frame), len(columns)), np.nan)
    for i, column in enumerate(columns):
        if column.name in frame:
            values[:, i] = cell_rules.numbers(frame[column.name], column)
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

    return [pandera.Check(rule, error=words) for words, rule in cell_rules.rules(column)]
