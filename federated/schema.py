"""What the columns of a data set mean, agreed on before any hospital is looked at.

A schema is public: types, units, ranges and codes, never a row. It is written as JSON beside
every hospital's records, so that a hospital's folder explains itself.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from federated.errors import DataError


class Record(BaseModel):
    """Base of the frozen records that are stored as JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Column(Record):
    """One feature.

    codes: the allowed values of a categorical or binary column (binary: 0 and 1).
    labels: the texts that stand for the codes in the raw file, in their order, if it has texts.
    """

    name: str
    kind: Literal["numeric", "binary", "categorical"]
    unit: str = ""
    low: float | None = None
    high: float | None = None
    codes: tuple[float, ...] = ()
    labels: tuple[str, ...] = ()
    description: str = ""

    @property
    def width(self) -> int:
        """How many model inputs the column becomes (one-hot: one a code)."""
        return len(self.codes) if self.kind == "categorical" else 1


class TableSchema(Record):
    """A table of numbers: columns in order, then the target's classes by index."""

    kind: Literal["table"] = "table"
    columns: tuple[Column, ...]
    target: str
    classes: tuple[str, ...]


class ImageSchema(Record):
    """Images of uint8 pixels, shape (channels, height, width)."""

    kind: Literal["images"] = "images"
    shape: tuple[int, int, int]
    target: str
    classes: tuple[str, ...]


Schema = Annotated[TableSchema | ImageSchema, Field(discriminator="kind")]
_SCHEMA: TypeAdapter[TableSchema | ImageSchema] = TypeAdapter(Schema)


def parse_schema(text: str, where: str) -> TableSchema | ImageSchema:
    """A schema from its JSON. Raises DataError naming `where` it was read."""
    try:
        return _SCHEMA.validate_json(text)
    except ValueError as error:
        raise DataError(f"{where}: not a valid schema: {error}") from error


def outputs(classes: int) -> int:
    """How many logits a model needs: one for a yes/no question, else one a class."""
    return 1 if classes == 2 else classes


class Coverage(Record):
    """What became of one hospital's raw rows: counts and names only, no value of any row."""

    hospital: str
    rows: int
    kept: int
    quarantined: dict[str, int] = {}
    """reason (column and rule) → rows set aside for it; a row may break several rules."""
    dropped_columns: dict[str, str] = {}
    """column set aside as a whole → why."""
    missing: dict[str, int] = {}
    """column → missing cells among the rows kept."""
    constant: tuple[str, ...] = ()
    """columns with a single value (or none) among the rows kept."""
    classes: dict[str, int] = {}
    """class → rows kept."""
