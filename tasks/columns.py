"""The columns of a prepared table: what each was taken for."""

from rich.markup import escape
from rich.table import Table

from federated.schema import Column, TableSchema

_SHOWN = 6


def column_table(schema: TableSchema) -> Table:
    """One line a column that a model learns from, for the terminal."""
    table = Table(title="Columns")
    for name in ("column", "kind", "values", "stands for missing"):
        table.add_column(name)
    for column in schema.columns:
        marks = ", ".join(column.missing) or "—"
        table.add_row(*map(escape, (column.name, column.kind, _values(column), marks)))
    return table


def _values(column: Column) -> str:
    """Codes or texts, the first of many, or the allowed range."""
    texts = column.labels or tuple(f"{code:g}" for code in column.codes)
    if texts:
        more = f", … ({len(texts)})" if len(texts) > _SHOWN else ""
        return ", ".join(texts[:_SHOWN]) + more
    if column.low is None and column.high is None:
        return "numbers"
    low, high = ("" if bound is None else f"{bound:g}" for bound in (column.low, column.high))
    return f"{low} … {high} {column.unit}".strip()
