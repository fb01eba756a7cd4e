"""A Parquet file as plain columns: numbers, truth values, times and stripped texts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from federated.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

    Series = pd.Series[Any]


def read_parquet(path: Path, where: str) -> pd.DataFrame:
    """Raw cells; an index that has a name is a column.

    Raises DataError, naming the column, for lists, bytes and what else is no cell.
    """
    import pandas as pd

    frame = pd.read_parquet(path)
    named = [name for name in frame.index.names if name is not None]
    frame = frame.reset_index(level=named) if named else frame
    frame.columns = frame.columns.astype("str").str.strip()
    columns = [_plain(frame.iloc[:, i], where) for i in range(frame.shape[1])]
    return pd.concat(columns, axis="columns") if columns else frame


def _plain(cells: Series, where: str) -> Series:
    import pandas as pd
    from pandas.api import types

    if isinstance(cells.dtype, pd.CategoricalDtype):
        cells = cells.astype(cells.cat.categories.dtype)
    if types.is_string_dtype(cells.dtype) and not types.is_object_dtype(cells.dtype):
        return cells.astype("str").str.strip()
    if types.is_bool_dtype(cells):
        return cells.astype("str")
    if not types.is_object_dtype(cells.dtype):
        if types.is_numeric_dtype(cells) or types.is_datetime64_any_dtype(cells):
            return cells
        raise _no_cells(cells, str(cells.dtype), where)
    kind = types.infer_dtype(cells, skipna=True)
    if kind in ("string", "empty", "boolean"):
        return cells.astype("str").str.strip()
    if kind in ("decimal", "integer", "floating", "mixed-integer-float"):
        return cells.astype("float64")
    if kind in ("date", "datetime"):
        return pd.to_datetime(cells)
    raise _no_cells(cells, kind, where)


def _no_cells(cells: Series, kind: str, where: str) -> DataError:
    return DataError(
        f"{where}: column {cells.name!r} holds {kind}; write numbers or texts, or leave it out of "
        "the file"
    )
