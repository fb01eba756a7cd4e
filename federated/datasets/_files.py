"""Reading the raw files that a user names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from federated.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

MISSING = ("", "?", "NA", "N/A", "na", "n/a", "NaN", "nan", "NULL", "null", "None")
"""Cells of a CSV that are read as missing."""


def read_table(path: Path) -> pd.DataFrame:
    """Raw cells of a CSV (as text) or Parquet file; index = row number, from 1.

    Raises DataError, naming the file, if it is absent, unreadable or empty.
    """
    import pandas as pd

    if not path.is_file():
        raise DataError(f"{path}: no such file; give the right path in data.source.path")
    try:
        if path.suffix.lower() == ".parquet":
            frame = pd.read_parquet(path)
        elif path.suffix.lower() == ".csv":
            frame = pd.read_csv(path, dtype=str, keep_default_na=False, na_values=list(MISSING))
        else:
            raise DataError(f"{path}: neither .csv nor .parquet; convert it to one of them")
    except (ValueError, OSError) as error:  # pandas' and Arrow's parsing errors are ValueErrors
        raise DataError(f"{path}: not readable as {path.suffix[1:]} ({error})") from error
    if frame.empty:
        raise DataError(f"{path}: holds no rows")
    frame.columns = frame.columns.astype(str)
    return frame.set_axis(range(1, len(frame) + 1), axis="index")


def hospitals_of(frame: pd.DataFrame, column: str, where: str) -> pd.Series[str]:
    """The hospital of each row. Raises DataError for rows that name none."""
    missing = frame.index[frame[column].isna()]
    if len(missing):
        rows = ", ".join(str(row) for row in missing[:5])
        raise DataError(
            f"{where}: {len(missing)} rows have no hospital in column {column!r} "
            f"(row number {rows}{', …' if len(missing) > 5 else ''}); fill it in or remove them"
        )
    return frame[column].astype("str")
