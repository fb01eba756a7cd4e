"""The coverage table: what became of every hospital's raw rows, in counts and names."""

from collections.abc import Sequence

from rich.table import Table

from federated.schema import Coverage


def coverage_table(found: Sequence[Coverage]) -> Table:
    """One line a hospital, for the terminal."""
    table = Table(title="Coverage")
    for name in ("hospital", "rows", "kept", "set aside", "columns set aside", "constant"):
        table.add_column(name, justify="right" if name in {"rows", "kept"} else "left")
    for one in found:
        table.add_row(
            one.hospital,
            str(one.rows),
            str(one.kept),
            "; ".join(f"{n}× {why}" for why, n in one.quarantined.items()) or "—",
            "; ".join(f"{column}: {why}" for column, why in one.dropped_columns.items()) or "—",
            ", ".join(one.constant) or "—",
        )
    return table
