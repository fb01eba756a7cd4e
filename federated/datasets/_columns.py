"""The features of a raw table: which columns, of what kind, and what the user is told of that."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from federated.datasets import _features, _infer
from federated.datasets._infer import Judged
from federated.datasets._marks import Counts, among_numbers, suspect
from federated.errors import DataError
from federated.schema import Column

if TYPE_CHECKING:
    import pandas as pd

    Series = pd.Series[Any]

_LISTED = 12
"""Of more columns of a kind only the number is said."""


@dataclass(frozen=True)
class Wishes:
    """kinds: column → the kind that was declared. keep: columns used whatever they look like.
    most: categories of a column that become inputs, or None for all."""

    kinds: Mapping[str, str]
    keep: Collection[str]
    most: int | None


@dataclass(frozen=True)
class Features:
    """columns, and the frame with their cells as they are to be read, without columns that are not
    used. marks: mark → column → cells among numbers. notes for the user."""

    columns: tuple[Column, ...]
    frame: pd.DataFrame
    marks: Counts
    notes: tuple[str, ...]


def features(
    frame: pd.DataFrame,
    targets: Sequence[str],
    hospitals: Series | None,
    wishes: Wishes,
    where: str,
) -> Features:
    """Columns of the declared kinds; where none is declared, of all that may be features.

    Raises DataError, naming the column, for one that cannot be read, and if none is left.
    """
    kinds = wishes.kinds
    why = {} if kinds else _features.unused(frame, targets, hospitals, wishes.keep)
    names = [str(n) for n in frame.columns if n not in targets and n not in why]
    if kinds:
        names = [name for name in names if name in kinds or name in wishes.keep]
    if not names:
        reasons = "; ".join(_features.sentences(why)) or "there is no other column"
        raise DataError(f"{where}: no column is left to learn from: {reasons}")
    judged = [
        _infer.declared(frame[name], kinds[name], where, wishes.most)
        if name in kinds
        else _infer.infer(frame[name], where, wishes.most)
        for name in names
    ]
    cells = {one.column.name: one.cells for one in judged}
    inferred = [one.column for one in judged if one.column.name not in kinds]
    notes = [*_features.sentences(why), *(note for one in judged for note in one.notes)]
    notes += _suspects(judged)
    return Features(
        columns=tuple(one.column for one in judged),
        frame=frame.drop(columns=[*why]).assign(**cells),
        marks=_by_mark(judged),
        notes=(*_kinds(inferred), *notes),
    )


def under(columns: Sequence[Column], frame: pd.DataFrame) -> Features:
    """The features of a file whose columns are known."""
    judged = []
    for column in columns:
        if column.name in frame and not column.labels:
            judged.append(Judged(column, *among_numbers(frame[column.name])))
    cells = {one.column.name: one.cells for one in judged}
    notes = tuple(_suspects(judged))
    return Features(tuple(columns), frame.assign(**cells), _by_mark(judged), notes)


def _suspects(judged: Sequence[Judged]) -> list[str]:
    """Notes on numbers that may mean missing."""
    numeric = (one.cells for one in judged if one.column.kind == "numeric")
    return [note for cells in numeric if (note := suspect(cells)) is not None]


def _by_mark(judged: Sequence[Judged]) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {}
    for one in judged:
        for mark, cells in one.marks.items():
            counts.setdefault(mark, {})[one.column.name] = cells
    return counts


def _kinds(columns: Sequence[Column]) -> list[str]:
    """One sentence: which kinds were inferred."""
    parts = []
    for kind in ("numeric", "binary", "categorical"):
        names = [_described(column) for column in columns if column.kind == kind]
        shown = ", ".join(names) if len(names) <= _LISTED else f"{len(names)} columns"
        parts += [f"{kind} {shown}"] if names else []
    return [f"kinds inferred: {'; '.join(parts)}"] if parts else []


def _described(column: Column) -> str:
    if column.kind == "binary" and column.labels:
        return f"{column.name} ({' or '.join(column.labels)})"
    return f"{column.name} ({len(column.codes)})" if column.kind == "categorical" else column.name
