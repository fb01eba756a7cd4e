"""Cells that break the schema: counted by rule, and where they are an error."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from federated.cells import Cells
from federated.errors import DataError
from federated.schema import Column, TableSchema

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST_STRANGE = 0.01
"""A target with unknown codes in a larger share of a hospital's rows was misunderstood."""


def reasons(faults: Iterable[Mapping[str, str]]) -> dict[str, int]:
    """ "column: rule" → how often."""
    counts = Counter(f"{column}: {why}" for found in faults for column, why in found.items())
    return dict(sorted(counts.items()))


def require_outcomes(
    hospital: str, cells: Cells, at: NDArray[np.int64], schema: TableSchema
) -> None:
    """Raise DataError for a target with many codes that it does not know."""
    for column in schema.targets:
        codes = [code for i in at if (code := cells.strange[column.name].get(int(i))) is not None]
        if len(codes) <= MOST_STRANGE * len(at):
            continue
        counts = Counter(code for code in codes if code)
        shown = ", ".join(f"{code!r} ({n} rows)" for code, n in counts.most_common(6))
        known = ", ".join(map(repr, column.labels)) or ", ".join(f"{c:g}" for c in column.codes)
        what = f"none of {known}" if column.codes else "no number"
        raise DataError(
            f"hospital {hospital!r}: target {column.name!r} is {what} in {len(codes)} of {len(at)} "
            f"rows{f': {shown}' if shown else ''}. Mend them, {_advice(schema, column)}or say in "
            "data.source.missing what means missing"
        )


def _advice(schema: TableSchema, column: Column) -> str:
    """Where params.yaml says what a target's codes stand for."""
    if not column.codes:
        return ""
    keys = {"survival": "event_value", "labels": "positive"}
    key = keys.get(schema.question.kind, "schema") if schema.question else "classes"
    return f"say in data.source.{key} what the codes stand for, "


def require_features(
    hospital: str, bad: dict[int, dict[str, str]], cells: Cells, schema: TableSchema
) -> None:
    """Raise DataError for a feature's cell that breaks the schema."""
    names = {column.name for column in schema.columns}
    faults = {i: {c: why for c, why in found.items() if c in names} for i, found in bad.items()}
    rows = sorted(int(cells.rows[i]) for i, found in faults.items() if found)
    if rows:
        shown = "; ".join(f"{n}× {why}" for why, n in reasons(faults.values()).items())
        numbers = ", ".join(map(str, rows[:5])) + (", …" if len(rows) > 5 else "")
        raise DataError(
            f"hospital {hospital!r}: {shown} (row number {numbers}); mend them, or let "
            "data.source.bad_cells be missing or quarantine"
        )
