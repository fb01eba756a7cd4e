"""What became of every hospital's raw rows, in counts and names: as a table, and in sentences."""

from collections.abc import Mapping, Sequence

from rich.markup import escape
from rich.table import Table

from federated.schema import Coverage


def coverage_table(found: Sequence[Coverage]) -> Table:
    """One line a hospital, for the terminal."""
    table = Table(title="Coverage")
    numbers = ("rows", "kept", "patients")
    for name in (
        "hospital",
        *numbers,
        "set aside",
        "read as missing",
        "columns set aside",
        "constant",
    ):
        table.add_column(name, justify="right" if name in numbers else "left")
    for one in found:
        cells = (
            one.hospital,
            str(one.rows),
            str(one.kept),
            "—" if one.patients is None else str(one.patients),
            _reasons(one) or "—",
            _counted(one.bad_cells) or "—",
            _columns(one) or "—",
            ", ".join(one.constant) or "—",
        )
        table.add_row(*map(escape, cells))
    return table


def notes(found: Sequence[Coverage]) -> list[str]:
    """Each distinct note once, in order."""
    return list(dict.fromkeys(note for one in found for note in one.notes))


def set_aside(found: Sequence[Coverage]) -> list[str]:
    """One line for every hospital that lost rows, cells or columns: how many, and why."""
    lines = []
    for one in found:
        rows = f"{one.rows - one.kept} of {one.rows} rows ({_reasons(one)})"
        parts = [f"set aside {rows}"] if one.kept < one.rows else []
        parts += [f"cells read as missing {_counted(one.bad_cells)}"] if one.bad_cells else []
        parts += [f"columns not used {_columns(one)}"] if one.dropped_columns else []
        lines += [f"{one.hospital}: {'; '.join(parts)}"] if parts else []
    return lines


def _reasons(one: Coverage) -> str:
    """Rules and how many rows break each, with the outcomes among those rows."""
    rules = _counted(one.quarantined)
    outcomes = ", ".join(f"{name} {rows}" for name, rows in one.quarantined_classes.items())
    return f"{rules}; outcomes among them: {outcomes}" if outcomes else rules


def _counted(reasons: Mapping[str, int]) -> str:
    return "; ".join(f"{times}× {why}" for why, times in reasons.items())


def _columns(one: Coverage) -> str:
    return "; ".join(f"{column}: {why}" for column, why in one.dropped_columns.items())
