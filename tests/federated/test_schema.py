"""A schema as JSON: that of classes keeps the bytes it had before other questions came."""

import pytest
from pydantic import ValidationError

from federated.schema import (
    Column,
    ImageSchema,
    Labels,
    Survival,
    TableSchema,
    Value,
    parse_schema,
)

AGE = Column(name="age", kind="numeric")


def test_classes_keep_their_bytes() -> None:
    schema = ImageSchema(shape=(1, 28, 28), target="digit", classes=("0", "1"))
    text = '{"kind":"images","shape":[1,28,28],"target":"digit","classes":["0","1"]}'
    assert schema.model_dump_json() == text
    assert parse_schema(text, "here") == schema
    table = TableSchema(columns=(AGE,), target="ill", classes=("no", "yes"))
    assert list(table.model_dump()) == ["kind", "columns", "target", "classes"]


@pytest.mark.parametrize(
    ("question", "columns"),
    [
        (Labels(names=("a", "b")), ["a", "b"]),
        (Value(unit="days", low=0), ["y"]),
        (Survival(time="t", event="e"), ["t", "e"]),
    ],
)
def test_questions_read_back(question: Labels | Value | Survival, columns: list[str]) -> None:
    schema = TableSchema(columns=(AGE,), target="y", question=question)
    assert parse_schema(schema.model_dump_json(), "here") == schema
    assert "classes" not in schema.model_dump()
    assert [c.name for c in schema.targets] == columns


def test_one_question_it_must_be() -> None:
    with pytest.raises(ValidationError, match="either classes or a question"):
        TableSchema(columns=(AGE,), target="y")
    with pytest.raises(ValidationError, match="either classes or a question"):
        TableSchema(columns=(AGE,), target="y", classes=("a", "b"), question=Value())


def test_other_is_the_last_category() -> None:
    ward = Column(name="ward", kind="categorical", codes=(0, 1, 2), labels=("icu", "ent", "other"))
    assert ward.other is None
    assert ward.model_copy(update={"most": 1}).other == 2
    for wrong in ({"labels": ("other", "icu", "ent")}, {"kind": "binary"}, {"most": 0}):
        with pytest.raises(ValidationError, match="most"):
            Column(**{**ward.model_dump(), "most": 1, **wrong})
