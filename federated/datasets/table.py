"""The user's own CSV or Parquet file.

Feature kinds are given in params.yaml, taken from a schema.json, or inferred from the file's
columns; either way they end up in the prepared schema.json, to be read and corrected.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from federated import plugins, records
from federated.datasets._files import hospitals_of, read_table
from federated.datasets._infer import column, infer, target_classes
from federated.errors import ConfigError, DataError
from federated.schema import (
    Column,
    Labels,
    Question,
    Survival,
    TableSchema,
    Value,
    parse_schema,
)

if TYPE_CHECKING:
    import pandas as pd

Names = Annotated[tuple[str, ...], Field(strict=False)]


@plugins.options
class Table:
    """path: .csv or .parquet, relative to the project or absolute. To predict, one of:
    target, a column of classes, or of numbers with target_kind `value`; labels, several 0/1
    columns; time and event, columns of a time ≥ 0 and of 1 for an event, 0 for a censored patient.
    hospital: the column that names the hospital, or null. numeric, binary, categorical: features
    by kind; if all three are empty, kinds are inferred. drop: columns left out. schema: a
    schema.json used instead (a hospital at its own site must not infer codes from its own rows).
    """

    path: str
    target: str | None = None
    target_kind: Literal["classes", "value"] = "classes"
    labels: Names = ()
    time: str | None = None
    event: str | None = None
    hospital: str | None = None
    numeric: Names = ()
    binary: Names = ()
    categorical: Names = ()
    drop: Names = ()
    schema: str | None = None

    def __post_init__(self) -> None:
        asked = [self.target is not None, bool(self.labels), self.time is not None]
        if asked.count(True) != 1 or (self.time is None) != (self.event is None):
            raise ConfigError(
                "data.source: name what is to be predicted, by one of target, labels, and time "
                "with event"
            )
        if len(self.labels) == 1:
            raise ConfigError("data.source.labels: one label alone is a target; name it there")

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
        frame = _texts(frame.drop(columns=list(self.drop)), self._classes)
        schema = self._given(project) or TableSchema(
            columns=self._columns(frame),
            target=self.target or self.event or "labels",
            classes=target_classes(frame[self._classes], self.path) if self._classes else (),
            question=self._question,
        )
        return records.Table(frame, schema, hospitals, self.path)

    @property
    def _classes(self) -> str | None:
        """The column of classes, if that is what is asked for."""
        return self.target if self.target_kind == "classes" else None

    @property
    def _question(self) -> Question | None:
        """What is asked for if not classes."""
        if self.labels:
            return Labels(names=self.labels)
        if self.time is not None and self.event is not None:
            return Survival(time=self.time, event=self.event)
        return None if self._classes else Value()

    @property
    def _asked(self) -> list[str]:
        """The columns to be predicted."""
        return [n for n in (self.target, *self.labels, self.time, self.event) if n is not None]

    def _require(self, frame: pd.DataFrame) -> None:
        """Every column named in params.yaml must be there, in one role."""
        named = [*self._asked, *self.numeric, *self.binary, *self.categorical, *self.drop]
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
        asked = ", ".join(map(repr, self._asked))
        if not isinstance(schema, TableSchema) or [c.name for c in schema.targets] != self._asked:
            raise DataError(f"{path}: is not the schema of a table with target {asked}")
        if type(schema.question) is not type(self._question):
            raise DataError(f"{path}: asks for {asked} in another way than data.source does")
        return schema

    def _columns(self, frame: pd.DataFrame) -> tuple[Column, ...]:
        kinds = dict.fromkeys(self.numeric, "numeric")
        kinds |= dict.fromkeys(self.binary, "binary")
        kinds |= dict.fromkeys(self.categorical, "categorical")
        features = [str(name) for name in frame.columns if name not in self._asked]
        if not kinds:
            return tuple(infer(frame[name], self.path) for name in features)
        return tuple(column(frame[n], kinds[n], self.path) for n in features if n in kinds)


def _texts(frame: pd.DataFrame, classes: str | None) -> pd.DataFrame:
    """Numbers stay numbers; everything else, and classes, become text (missing stays so)."""
    from pandas.api import types

    def number(cells: pd.Series) -> bool:
        return types.is_numeric_dtype(cells) and not types.is_bool_dtype(cells)

    texts = [n for n in frame.columns if n == classes or not number(frame[n])]
    return frame.astype(dict.fromkeys(texts, "str"))
