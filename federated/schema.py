"""What the columns of a data set mean, agreed on before any hospital is looked at.

A schema is public: types, units, ranges and codes, never a row. It is written as JSON beside
every hospital's records, so that a hospital's folder explains itself.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    TypeAdapter,
    model_serializer,
    model_validator,
)

from federated.errors import DataError


class Record(BaseModel):
    """Base of the frozen records that are stored as JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


OTHER = "other"
"""The label of what is not among a column's commonest categories."""


class Column(Record):
    """One feature.

    codes: the allowed values of a categorical or binary column (binary: 0 and 1).
    labels: the texts that stand for the codes in the raw file, in their order, if it has texts.
    missing: further cells that stand for a missing one in this column, such as `-9`.
    most: of a categorical column with more texts than are wanted, how many become inputs: the
        commonest among training rows. The last label is then `other`, for all the rest and for
        texts that no label stands for.
    """

    name: str
    kind: Literal["numeric", "binary", "categorical"]
    unit: str = ""
    low: float | None = None
    high: float | None = None
    codes: tuple[float, ...] = ()
    labels: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    most: int | None = Field(default=None, ge=1)
    description: str = ""

    @model_validator(mode="after")
    def _other_is_the_last(self) -> Self:
        if self.most is not None and (self.kind != "categorical" or self.labels[-1:] != (OTHER,)):
            raise ValueError(f"{self.name}: `most` is of categories whose last label is {OTHER!r}")
        return self

    @model_validator(mode="after")
    def _codes_fit_the_kind(self) -> Self:
        if self.kind == "binary" and self.codes != (0, 1):
            raise ValueError(f"{self.name}: the codes of a binary column are [0, 1]")
        if self.kind == "categorical" and not self.codes:
            raise ValueError(f"{self.name}: a categorical column has codes")
        return self

    @property
    def other(self) -> float | None:
        """The code of all texts without a label of their own, if the column has one."""
        return None if self.most is None else self.codes[-1]


class Labels(Record):
    """Several yes/no questions of one row, each a 0/1 column of its own."""

    kind: Literal["labels"] = "labels"
    names: tuple[str, ...] = Field(min_length=2)

    def columns(self, target: str) -> tuple[Column, ...]:
        """One binary column a label."""
        return tuple(_flag(name) for name in self.names)


class Value(Record):
    """A number: the target's own column, with its unit and allowed range."""

    kind: Literal["value"] = "value"
    unit: str = ""
    low: float | None = None
    high: float | None = None

    def columns(self, target: str) -> tuple[Column, ...]:
        """The one numeric column."""
        return (Column(name=target, kind="numeric", unit=self.unit, low=self.low, high=self.high),)


class Survival(Record):
    """Time until an event or until the last that is known of a patient (event 0: censored)."""

    kind: Literal["survival"] = "survival"
    time: str
    event: str
    unit: str = ""

    def columns(self, target: str) -> tuple[Column, ...]:
        """The time ≥ 0, then the event as 0 or 1."""
        return Column(name=self.time, kind="numeric", unit=self.unit, low=0), _flag(self.event)


def _flag(name: str) -> Column:
    return Column(name=name, kind="binary", codes=(0, 1))


Question = Annotated[Labels | Value | Survival, Field(discriminator="kind")]


class _Asking(Record):
    """What is predicted: one of `classes`, or what `question` says if there are no classes.

    JSON leaves out the one of the two that is empty.
    """

    target: str
    classes: tuple[str, ...] = ()
    question: Question | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if bool(self.classes) == (self.question is not None):
            raise ValueError("a schema has either classes or a question")
        return self

    @model_serializer(mode="wrap")
    def _last_without_the_empty(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        values = plain(self)
        asked = ("target", "question" if self.question else "classes")
        others = {k: v for k, v in values.items() if k not in _Asking.model_fields}
        return others | {name: values[name] for name in asked}

    @property
    def targets(self) -> tuple[Column, ...]:
        """The raw columns behind the target; of classes one, coded 0 … C-1."""
        if self.question is not None:
            return self.question.columns(self.target)
        codes = tuple(float(code) for code in range(len(self.classes)))
        return (Column(name=self.target, kind="categorical", codes=codes, labels=self.classes),)


class TableSchema(_Asking):
    """A table of numbers: columns in order, then what is predicted from them."""

    kind: Literal["table"] = "table"
    columns: tuple[Column, ...]


class ImageSchema(_Asking):
    """Images of uint8 pixels, shape (channels, height, width), and what is predicted from them."""

    kind: Literal["images"] = "images"
    shape: tuple[int, int, int]


Schema = Annotated[TableSchema | ImageSchema, Field(discriminator="kind")]
_SCHEMA: TypeAdapter[TableSchema | ImageSchema] = TypeAdapter(Schema)


def parse_schema(text: str, where: str) -> TableSchema | ImageSchema:
    """A schema from its JSON. Raises DataError naming `where` it was read."""
    try:
        return _SCHEMA.validate_json(text)
    except ValueError as error:
        raise DataError(f"{where}: not a valid schema: {error}") from error


class Coverage(Record):
    """What became of one hospital's raw rows: counts and names only, no value of any row."""

    hospital: str
    rows: int
    kept: int
    patients: int | None = None
    """patients of the rows kept, where the data name patients."""
    quarantined: dict[str, int] = {}
    """reason (column and rule) → rows set aside for it; a row may break several rules."""
    dropped_columns: dict[str, str] = {}
    """column set aside as a whole → why."""
    bad_cells: dict[str, int] = {}
    """reason (column and rule) → cells read as missing for it among the rows kept."""
    missing: dict[str, int] = {}
    """column → missing cells among the rows kept."""
    constant: tuple[str, ...] = ()
    """columns with a single value (or none) among the rows kept."""
    classes: dict[str, int] = {}
    """class (or label, or what else the objective counts) → rows kept."""
    quarantined_classes: dict[str, int] = {}
    """the same among the rows set aside, as far as their outcome is known."""
    notes: tuple[str, ...] = ()
    """sentences for the user: what was inferred or left out. One about the whole file is repeated
    at every hospital, and shown once."""
