"""The user's own CSV or Parquet file.

Feature kinds are given in params.yaml, taken from a schema.json, or inferred from the file's
columns; either way they end up in the prepared schema.json, to be read and corrected. What is
inferred is said in the record's notes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, overload

from pydantic import Field

from federated import plugins, records
from federated.datasets import _columns, _marks, _target
from federated.datasets._csv import Csv
from federated.datasets._files import hospitals_of, read_table
from federated.datasets._times import TimeSplit
from federated.datasets._units import Units, units
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
Codes = Annotated[tuple[str | int | float, ...], Field(strict=False)]


@plugins.options
class Table:
    """path: .csv or .parquet, relative to the project or absolute. csv: its delimiter, decimal and
    encoding, found out if not given. To predict, one of: target, a column of classes, or of numbers
    with target_kind `value`; labels, several yes/no columns; time and event, columns of a time ≥ 0
    and of whether it ends in an event. classes: those of the target, in order. positive: which of
    two classes, or of a label's two codes, is the event. event_value: the code of the event, where
    it is not 1 of 0 and 1. hospital: the column that names the hospital, or null. patient: the
    column of patients' ids, whose rows stay together, or null. split: by is a column of times, of
    which the latest test; format is how they are written, if not as ISO 8601. numeric, binary,
    categorical: features by kind; if all three are empty, kinds are inferred. max_categories: of a
    categorical column with more, so many of the commonest are inputs, and the rest is `other`.
    keep: columns used although they look like an id or like the target. drop: columns left out.
    missing: what stands for a missing cell, beside blanks, NA and the like; not_missing: of those,
    what does not. bad_cells: a cell that the schema forbids is read as missing, costs its row
    (quarantine), or is an error (refuse). schema: a schema.json used instead (a hospital at its own
    site must not infer codes from its own rows).
    """

    path: str
    target: str | None = None
    target_kind: Literal["classes", "value"] = "classes"
    classes: Codes = ()
    positive: str | int | float | bool | None = None
    labels: Names = ()
    time: str | None = None
    event: str | None = None
    event_value: str | int | float | bool | None = None
    hospital: str | None = None
    patient: str | None = None
    split: TimeSplit | None = None
    numeric: Names = ()
    binary: Names = ()
    categorical: Names = ()
    max_categories: int | None = Field(default=None, ge=1)
    keep: Names = ()
    drop: Names = ()
    missing: Codes = ()
    not_missing: Names = ()
    bad_cells: records.BadCells = "missing"
    csv: Csv = Csv()
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
        if self.classes and (self._classes is None or self.schema is not None):
            raise ConfigError("data.source.classes: are of a target's classes, without a schema")
        if self.classes and len(set(map(_code, self.classes))) < max(2, len(self.classes)):
            raise ConfigError("data.source.classes: name two different classes or more")
        if self.positive is not None and self._classes is None and not self.labels:
            raise ConfigError("data.source.positive: is of a target with two classes, or of labels")
        if self.event_value is not None and self.event is None:
            raise ConfigError("data.source.event_value: is of a time and an event")
        if self.split is not None and self.split.by in (*self._asked, self.hospital, self.patient):
            raise ConfigError("data.source.split.by: names a column that has another role already")
        if self.patient is not None and self.patient in self.keep:
            raise ConfigError("data.source.keep: names the column of patients, which is no feature")

    @property
    def files(self) -> tuple[str, ...]:
        """The table, and the schema if one is given."""
        return (self.path,) if self.schema is None else (self.path, self.schema)

    def read(self, project: Path) -> records.Table:
        """Raw cells and their schema. Raises DataError naming the file and the column at fault."""
        raw = read_table(
            project / self.path,
            self.csv,
            self.missing,
            self.not_missing,
            texts=self.categorical,
            names=() if self.hospital is None else (self.hospital,),
        )
        self._require(raw.frame)
        frame, hospitals = raw.frame.drop(columns=[*self.drop]), None
        if self.hospital is not None:
            hospitals = hospitals_of(frame, self.hospital, self.path)
            frame = frame.drop(columns=self.hospital)
        given = self._given(project)
        whose = self._units(raw.frame, hospitals, given)
        frame = frame.drop(columns=[*whose.columns], errors="ignore")
        asked = self._target_cells(frame, given)
        frame = frame.assign(**asked.cells)
        if given is not None:
            found, schema = _columns.under(given.columns, frame), given
        else:
            found = _columns.features(frame, self._asked, hospitals, self._wishes, self.path)
            schema = TableSchema(
                columns=_with_marks(found.columns, self.missing, [raw.marks, found.marks]),
                target=self.target or self.event or "labels",
                classes=asked.classes,
                question=self._question,
            )
        marks = (*_marks.sentences(raw.marks), *_marks.sentences(found.marks))
        return records.Table(
            found.frame,
            schema,
            hospitals,
            self.path,
            patients=whose.patients,
            times=whose.times,
            notes=(*raw.notes, *whose.notes, *asked.notes, *found.notes, *marks),
            bad_cells=self.bad_cells,
        )

    def _units(
        self, frame: pd.DataFrame, hospitals: pd.Series[str] | None, given: TableSchema | None
    ) -> Units:
        declared = {*self.numeric, *self.binary, *self.categorical, *self.keep}
        declared |= {column.name for column in given.columns} if given is not None else set()
        roles = {*self._asked, self.hospital}
        return units(frame, self.patient, self.split, declared - roles, roles, hospitals, self.path)

    @property
    def _wishes(self) -> _columns.Wishes:
        kinds = dict.fromkeys(self.numeric, "numeric")
        kinds |= dict.fromkeys(self.binary, "binary")
        kinds |= dict.fromkeys(self.categorical, "categorical")
        return _columns.Wishes(kinds, self.keep, self.max_categories)

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

    def _target_cells(self, frame: pd.DataFrame, given: TableSchema | None) -> _Asked:
        """The cells to be predicted, in the schema's spelling."""
        if self._classes is not None:
            known = given.classes if given is not None else tuple(map(_code, self.classes))
            found = _target.classes(frame[self._classes], known, _code(self.positive), self.path)
            if given is not None and found.names != known:
                raise DataError(f"data.source.positive: the schema's event is {known[-1]!r}")
            return _Asked({self._classes: found.cells}, found.names, found.notes)
        flags = dict.fromkeys(self.labels, ("data.source.positive", self.positive))
        if self.event is not None:
            flags[self.event] = ("data.source.event_value", self.event_value)
        cells, notes = {}, list[str]()
        for name, (key, code) in flags.items():
            event, whole = _code(code), given is None
            cells[name], said = _target.flag(frame[name], event, key, self.path, whole=whole)
            notes += said
        return _Asked(cells, (), tuple(notes))

    def _require(self, frame: pd.DataFrame) -> None:
        """Every column named in params.yaml must be there, in one role."""
        named = [*self._asked, *self.numeric, *self.binary, *self.categorical, *self.drop]
        named += [name for name in (self.hospital, self.patient) if name is not None]
        for name in (*named, *self.keep, *([self.split.by] if self.split is not None else [])):
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


@dataclass(frozen=True)
class _Asked:
    """cells: column → what is to be predicted. classes: in order, if it is classes."""

    cells: Mapping[str, pd.Series[Any]]
    classes: tuple[str, ...]
    notes: tuple[str, ...]


def _with_marks(
    columns: Sequence[Column], asked: Sequence[str | float], found: Sequence[_marks.Counts]
) -> tuple[Column, ...]:
    """Columns that know which cells stand for a missing one, for who reads other rows by them: what
    was asked for, in each, and what was found in its own cells."""
    return tuple(
        column.model_copy(update={"missing": _of(column, asked, found)}) for column in columns
    )


def _of(
    column: Column, asked: Sequence[str | float], found: Sequence[_marks.Counts]
) -> tuple[str, ...]:
    own = [mark for counts in found for mark in counts if column.name in counts[mark]]
    return tuple(dict.fromkeys([*column.missing, *map(str, asked), *own]))


@overload
def _code(code: str | float) -> str: ...
@overload
def _code(code: str | float | None) -> str | None: ...
def _code(code: str | float | None) -> str | None:
    """A code of params.yaml as text."""
    return None if code is None else str(code)
