"""What a model takes and gives: for MLflow's signature, and in words for its page."""

import pandas as pd
from mlflow.models import ModelSignature, infer_signature
from mlflow.types.schema import AnyType, ColSpec, DataType, Schema

from federated.schema import Column, ImageSchema, TableSchema
from tasks.export import Scoring

_ROOM, _CODES = 3500, 20  # letters of a page's 5,000 for the table; codes named of a column


def signature(scoring: Scoring) -> ModelSignature:
    """Text columns as strings; others of any type, for files hold them as integers, floats or texts
    and MLflow would refuse two of the three. Whether a cell is allowed the model itself says."""
    given = infer_signature(scoring.example, scoring.predictions)
    if isinstance(scoring.schema, ImageSchema):
        return given
    own = scoring.hospitals
    texts = {} if own is None else {own.column: tuple(own.names)}
    texts |= {column.name: column.labels for column in scoring.schema.columns}
    return ModelSignature(Schema([_spec(n, labels) for n, labels in texts.items()]), given.outputs)


def _spec(name: str, labels: tuple[str, ...]) -> ColSpec:
    """A string where pandas reads every one of the labels as text, whatever stands beside it."""
    texts = bool(labels) and not any(_is_value(label) for label in labels)
    return ColSpec(DataType.string if texts else AnyType(), name)  # type: ignore[no-untyped-call]


def _is_value(label: str) -> bool:
    is_number = pd.notna(pd.to_numeric(pd.Series([label]), errors="coerce").iloc[0])
    return bool(is_number) or label.casefold() in ("true", "false")


def in_words(schema: TableSchema | ImageSchema) -> str:
    """Markdown: what the model takes, column by column, with categories, ranges and units."""
    if isinstance(schema, ImageSchema):
        shape = " × ".join(map(str, schema.shape))
        return f"Takes images of {shape} (channels, height, width), pixels 0 to 255."
    lines = ["Takes, blank where missing:", "", "| column | kind | allowed |", "|---|---|---|"]
    for done, column in enumerate(schema.columns):
        line = f"| {_cell(column.name)} | {column.kind} | {_cell(_allowed(column))} |"
        if len("\n".join([*lines, line])) > _ROOM:
            left = len(schema.columns) - done
            return "\n".join([*lines, "", f"… and {left} more columns: see schema.json."])
        lines.append(line)
    return "\n".join(lines)


def _allowed(column: Column) -> str:
    codes = column.labels or tuple(f"{code:g}" for code in column.codes)
    if codes:
        more = f", … ({len(codes)} in all)" if len(codes) > _CODES else ""
        return ", ".join(codes[:_CODES]) + more
    if column.low is None and column.high is None:
        return column.unit
    low = "" if column.low is None else f"{column.low:g} "
    high = "" if column.high is None else f" {column.high:g}"
    return f"{low}to{high} {column.unit}".rstrip()


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
