"""Reading the raw files that a user names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from federated.datasets import _marks
from federated.datasets._csv import Csv, read_csv
from federated.datasets._decimals import with_points
from federated.datasets._parquet import read_parquet
from federated.errors import DataError

if TYPE_CHECKING:
    import pandas as pd


PLAIN = Csv()


@dataclass(frozen=True)
class Raw:
    """frame: cells, missing where blank or marked so, those of a CSV as text; index = row number,
    from 1. notes: what was found out. marks: what was read as missing, and where."""

    frame: pd.DataFrame
    notes: tuple[str, ...]
    marks: _marks.Counts


def read_table(
    path: Path,
    how: Csv = PLAIN,
    missing: Collection[str | float] = (),
    not_missing: Collection[str] = (),
    texts: Collection[str] = (),
    names: Collection[str] = (),
) -> Raw:
    """Cells of a CSV or Parquet file.

    missing: marks beside `cell_rules.MISSING`; not_missing: those of it that are values. texts:
    columns in which a decimal comma is none. names: columns in which a mark is none, such as a
    hospital called NA. Raises DataError, naming the file, if it is absent, unreadable or empty, and
    for columns that share a name.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file; give the right path in data.source.path")
    kind = path.suffix.lower()
    if kind not in (".csv", ".tsv", ".parquet"):
        raise DataError(f"{path}: neither .csv nor .parquet; convert it to one of them")
    try:
        frame, notes = _parquet(path) if kind == ".parquet" else _csv(path, how)
    except (ValueError, OSError) as error:  # pandas' and Arrow's parsing errors are ValueErrors
        raise DataError(f"{path}: not readable as {kind[1:]} ({error})") from error
    if frame.empty:
        raise DataError(f"{path}: holds no rows")
    frame = frame.set_axis(range(1, len(frame) + 1), axis="index")
    frame, marks = _marks.everywhere(frame, missing, not_missing, names)
    if kind != ".parquet":
        points, said = with_points(
            frame.drop(columns=[*texts, *names], errors="ignore"), how.decimal, path.name
        )
        frame, notes = frame.assign(**{str(name): points[name] for name in points}), [*notes, *said]
    return Raw(frame, tuple(notes), marks)


def hospitals_of(frame: pd.DataFrame, column: str, where: str) -> pd.Series[str]:
    """The hospital of each row, a name even where it is a number: 2.0 is `2`.

    Raises DataError for rows that name none, and for names that are one number written in two ways.
    """
    missing = frame.index[frame[column].isna()]
    if len(missing):
        rows = ", ".join(str(row) for row in missing[:5])
        raise DataError(
            f"{where}: {len(missing)} rows have no hospital in column {column!r} "
            f"(row number {rows}{', …' if len(missing) > 5 else ''}); fill it in or remove them"
        )
    names = frame[column].astype("str")
    if names.str.fullmatch(r"\d+(\.0+)?").all():
        names = names.str.replace(r"\.0+$", "", regex=True)
        numbers = Counter(name.lstrip("0") for name in names.unique())
        twice = [name for name in sorted(names.unique()) if numbers[name.lstrip("0")] > 1]
        if twice:
            raise DataError(
                f"{where}: hospitals {' and '.join(map(repr, twice))} of column {column!r} are one "
                "number; write it in one way"
            )
    return names


def _parquet(path: Path) -> tuple[pd.DataFrame, list[str]]:
    frame = read_parquet(path, str(path))
    _apart([str(name) for name in frame.columns], path)
    return frame, []


def _csv(path: Path, how: Csv) -> tuple[pd.DataFrame, list[str]]:
    """Columns by name; those without one are left out, and said."""
    sheet = read_csv(path.read_bytes(), how, path.name)
    names = [*sheet.names]
    nameless = [i for i, name in enumerate(names) if not name]
    _apart([name for name in names if name], path)
    frame = sheet.cells.set_axis(names, axis="columns")
    if not nameless:
        return frame, [*sheet.notes]
    numbers = ", ".join(str(i + 1) for i in nameless)
    said = f"{path.name}: column {numbers} has no name in the header and is not used"
    return frame.iloc[:, [i for i, name in enumerate(names) if name]], [*sheet.notes, said]


def _apart(names: list[str], path: Path) -> None:
    """Raise DataError for columns that share a name."""
    for name, count in Counter(names).items():
        if count > 1:
            raise DataError(
                f"{path}: column {name!r} stands {count} times in the header; rename or remove them"
            )
