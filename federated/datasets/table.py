"""The user's own CSV or Parquet file.

Feature kinds are given in params.yaml, taken from a schema.json, or inferred from the file's
columns; either way they end up in the prepared schema.json, to be read and corrected.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from federated import plugins, records
from federated.datasets._files import hospitals_of, read_table
from federated.datasets._infer import column, infer, target_classes
from federated.errors import DataError
from federated.schema import Column, TableSchema, parse_schema

if TYPE_CHECKING:
    import pandas as pd

Names = Annotated[tuple[str, ...], Field(strict=False)]


@plugins.options
class Table:
    """path: .csv or .parquet, relative to the project or absolute. target: the column to predict.
    hospital: the column that names the hospital, or null. numeric, binary, categorical: features
    by kind; if all three are empty, kinds are inferred. drop: columns left out. schema: a
    schema.json used instead (a hospital at its own site must not infer codes from its own rows).
    """

    path: str
    target: str
    hospital: str | None = None
    numeric: Names = ()
    binary: Names = ()
    categorical: Names = ()
    drop: Names = ()
    schema: str | None = None

    @property
    def files(self) -> tuple[str, ...]:
        """The table, and the schema if one is given."""
        return (self.path,) if self.schema is None else (self.path, self.schema)

    def read(self, project: Path) -> records.Table:
        """Raw cells and their schema. Raises DataError naming the file and the column at fault."""
        frame = read_table(project / self.path)
        self._require(frame)
        hospitals = None
        if self.hospital is not None:
            hospitals = hospitals_of(frame, self.hospital, self.path)
            frame = frame.drop(columns=self.hospital)
        frame = _texts(frame.drop(columns=list(self.drop)), self.target)
        schema = self._given(project) or TableSchema(
            columns=self._columns(frame),
            target=self.target,
            classes=target_classes(frame[self.target], self.path),
        )
        return records.Table(frame, schema, hospitals, self.path)

    def _require(self, frame: pd.DataFrame) -> None:
        """Every column named in params.yaml must be there, in one role."""
        named = [self.target, *self.numeric, *self.binary, *self.categorical, *self.drop]
        named += [self.hospital] if self.hospital is not None else []
        for name in named:
            if name not in frame:
                hint = plugins.nearest(name, [str(c) for c in frame.columns])
                raise DataError(f"{self.path}: there is no column {name!r}; {hint}")
            if named.count(name) > 1:
                raise DataError(f"data.source: column {name!r} is named in two places; keep one")

    def _given(self, project: Path) -> TableSchema | None:
        if self.schema is None:
            return None
        path = project / self.schema
        if not path.is_file():
            raise DataError(f"{path}: no such file; give the right path in data.source.schema")
        schema = parse_schema(path.read_text(encoding="utf-8"), str(path))
        if not isinstance(schema, TableSchema) or schema.target != self.target:
            raise DataError(f"{path}: is not the schema of a table with target {self.target!r}")
        return schema

    def _columns(self, frame: pd.DataFrame) -> tuple[Column, ...]:
        kinds = dict.fromkeys(self.numeric, "numeric")
        kinds |= dict.fromkeys(self.binary, "binary")
        kinds |= dict.fromkeys(self.categorical, "categorical")
        features = [str(name) for name in frame.columns if name != self.target]
        if not kinds:
            return tuple(infer(frame[name], self.path) for name in features)
        return tuple(column(frame[n], kinds[n], self.path) for n in features if n in kinds)


def _texts(frame: pd.DataFrame, target: str) -> pd.DataFrame:
    """Numbers stay numbers; everything else, and the target, becomes text (missing stays so)."""
    from pandas.api import types

    def number(cells: pd.Series) -> bool:
        return types.is_numeric_dtype(cells) and not types.is_bool_dtype(cells)

    texts = [n for n in frame.columns if n == target or not number(frame[n])]
    return frame.astype(dict.fromkeys(texts, "str"))
