"""Made-up rows that break the schema in every way, one at a time."""

from typing import Literal

import numpy as np
import pandas as pd
import pytest

from federated.cells import check
from federated.errors import DataError
from federated.schema import Column, Labels, Question, Survival, TableSchema, Value
from federated.validation import Validated, settle, validate

SCHEMA = TableSchema(
    columns=(
        Column(name="age", kind="numeric", low=0, high=120, unit="years"),
        Column(name="sex", kind="binary", codes=(0, 1)),
        Column(name="pain", kind="categorical", codes=(0, 1), labels=("dull", "sharp")),
    ),
    target="ill",
    classes=("no", "yes"),
)


def frame(**changed: list[object]) -> pd.DataFrame:
    """Six good rows, numbered from 1, with some columns replaced."""
    good: dict[str, list[object]] = {
        "age": ["50", "60", "70", "40", "30", "20"],
        "sex": ["0", "1", "0", "1", "0", "1"],
        "pain": ["dull", "sharp", "dull", None, "sharp", "dull"],
        "ill": ["no", "yes", "no", "yes", "no", "yes"],
    }
    return pd.DataFrame({**good, **changed}, index=range(1, 7))


def test_good_rows_become_numbers() -> None:
    found = validate("h", frame(), SCHEMA, 2)
    assert found.quarantine == ()
    assert list(found.frame.columns) == ["age", "sex", "pain", "ill"]
    assert found.frame["pain"].tolist()[:3] == [0, 1, 0]
    assert found.frame["ill"].tolist() == [0, 1, 0, 1, 0, 1]
    assert found.coverage.missing == {"pain": 1}
    assert found.coverage.classes == {"no": 3, "yes": 3}
    assert (found.coverage.rows, found.coverage.kept) == (6, 6)


@pytest.mark.parametrize(
    ("column", "cell", "reason"),
    [
        ("age", "old", "age: not a number"),
        ("age", "inf", "age: not a number"),
        ("age", "121", "age: outside 0 to 120 years"),
        ("age", "-1", "age: outside 0 to 120 years"),
        ("sex", "2", "sex: not one of 0, 1"),
        ("pain", "odd", "pain: not one of dull, sharp"),
        ("ill", None, "ill: missing"),
    ],
)
def test_a_bad_cell_quarantines_its_row(column: str, cell: str | None, reason: str) -> None:
    raw = frame()
    raw.loc[3, column] = cell
    found = validate("h", raw, SCHEMA, 2)
    assert found.quarantine == ((3, reason),)
    assert found.coverage.quarantined == {reason: 1}
    assert found.frame.index.tolist() == [1, 2, 4, 5, 6]
    assert found.coverage.dropped_columns == {}


def test_a_row_that_breaks_two_rules_is_counted_under_both() -> None:
    raw = frame()
    raw.loc[3, ["age", "sex"]] = ["old", "9"]
    found = validate("h", raw, SCHEMA, 2)
    assert found.coverage.quarantined == {"age: not a number": 1, "sex: not one of 0, 1": 1}
    assert found.coverage.kept == 5


def test_a_column_broken_in_over_half_of_its_cells_is_set_aside() -> None:
    found = validate("h", frame(age=["a", "b", "c", None, "30", "20"]), SCHEMA, 2)
    assert found.coverage.dropped_columns == {"age": "3 of 5 cells break the schema"}
    assert found.frame["age"].isna().all()
    assert found.coverage.kept == 6
    assert found.coverage.constant == ("age",)


def test_exactly_half_broken_quarantines_the_rows() -> None:
    found = validate("h", frame(age=["a", "b", "c", "40", "30", "20"]), SCHEMA, 2)
    assert found.coverage.dropped_columns == {}
    assert found.coverage.quarantined == {"age: not a number": 3}


def test_absent_and_undeclared_columns_are_set_aside() -> None:
    raw = frame().drop(columns="sex").assign(extra=1)
    found = validate("h", raw, SCHEMA, 2)
    assert found.coverage.dropped_columns == {
        "extra": "in the file, but not declared",
        "sex": "declared, but not in the file",
    }
    assert found.coverage.kept == 6
    assert found.frame["sex"].isna().all()


def test_too_few_rows_is_an_error_with_counts_and_reasons() -> None:
    raw = frame()
    raw.loc[3, "age"] = "old"
    with pytest.raises(DataError, match=r"'st\. x': 5 of 6 rows .* 6; .*age: not a number \(1\)"):
        validate("st. x", raw, SCHEMA, 6)


def test_a_hospital_without_rows_is_an_error() -> None:
    with pytest.raises(DataError, match="'empty': 0 of 0 rows"):
        validate("empty", frame().iloc[:0], SCHEMA, 1)


def test_an_absent_target_is_an_error() -> None:
    with pytest.raises(DataError, match="no target column 'ill'"):
        validate("h", frame().drop(columns="ill"), SCHEMA, 1)


def test_no_message_holds_a_cell() -> None:
    found = validate("h", frame(age=["secret", "60", "70", "40", "30", "20"]), SCHEMA, 2)
    assert "secret" not in found.coverage.model_dump_json() + str(found.quarantine)


def asked(question: Question, **columns: list[object]) -> Validated:
    schema = TableSchema(
        columns=(Column(name="age", kind="numeric"),), target="days", question=question
    )
    raw = pd.DataFrame({"age": [50] * 5} | columns, index=range(1, 6))
    return validate("h", raw, schema, 1)


def test_values_that_are_missing_or_out_of_range_are_quarantined() -> None:
    found = asked(Value(unit="days", low=0, high=99), days=["3.5", None, "1e2", "100", "-1"])
    assert found.frame["days"].tolist() == [3.5]
    assert found.quarantine == (
        (2, "days: missing"),
        *((row, "days: outside 0 to 99 days") for row in (3, 4, 5)),
    )
    assert found.coverage.classes == {"days": 1}
    assert found.coverage.quarantined_classes == {}


def test_times_before_0_are_quarantined() -> None:
    found = asked(
        Survival(time="t", event="e", unit="months"), t=[1.5, -1, 3, None, 0], e=[1, 1, 0, 0, 0]
    )
    assert found.frame[["t", "e"]].to_numpy().tolist() == [[1.5, 1], [3, 0], [0, 0]]
    assert found.quarantine == ((2, "t: outside 0 to ∞ months"), (4, "t: missing"))
    assert found.coverage.classes == {"event": 1, "censored": 2}


@pytest.mark.parametrize(
    ("question", "cells", "message"),
    [
        (
            Labels(names=("a", "b")),
            {"a": [0, 1, 2, None, 2], "b": [1, 0, 1, 1, 1]},
            r"hospital 'h': target 'a' is none of 0, 1 in 2 of 5 rows: '2' \(2 rows\)\. "
            r"Mend them, say in data\.source\.positive",
        ),
        (
            Survival(time="t", event="e"),
            {"t": [1, 2, 3, 4, 5], "e": ["1", "0", "9", "1", "dead"]},
            r"'e' is none of 0, 1 in 2 of 5 rows: '9' \(1 rows\), 'dead' \(1 rows\)\. "
            r"Mend them, say in data\.source\.event_value",
        ),
        (
            Value(),
            {"days": ["3", "four", "5", "6", "inf"]},
            r"'days' is no number in 2 of 5 rows\. Mend them, or say in data\.source\.missing",
        ),
    ],
)
def test_codes_that_a_target_does_not_know_are_an_error(
    question: Question, cells: dict[str, list[object]], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        asked(question, **cells)


def test_one_strange_outcome_in_a_hundred_is_set_aside_two_are_an_error() -> None:
    rows = pd.concat([frame()] * 17, ignore_index=True).set_axis(range(1, 103), axis="index")
    rows.loc[7, "ill"] = "maybe"
    found = validate("h", rows, SCHEMA, 2)
    assert found.coverage.quarantined == {"ill: not one of no, yes": 1}
    assert found.coverage.kept == 101
    rows.loc[8, "ill"] = "Yes!"
    known = r"target 'ill' is none of 'no', 'yes' in 2 of 102 rows: 'maybe' \(1 rows\), 'Yes!'"
    with pytest.raises(DataError, match=known + r".*data\.source\.classes"):
        validate("h", rows, SCHEMA, 2)


@pytest.mark.parametrize("bad", ["missing", "quarantine"])
def test_a_bad_cell_costs_its_cell_or_its_row(bad: Literal["missing", "quarantine"]) -> None:
    raw = frame()
    raw.loc[3, ["age", "sex"]], raw.loc[4, "age"], raw.loc[5, "ill"] = ["old", "9"], "121", None
    found = settle("h", check(raw, SCHEMA), np.arange(6), SCHEMA, bad)
    rules = {"age: not a number": 1, "age: outside 0 to 120 years": 1, "sex: not one of 0, 1": 1}
    if bad == "missing":
        assert found.coverage.bad_cells == rules
        assert found.coverage.missing == {"age": 2, "pain": 1, "sex": 1}
        assert found.coverage.quarantined == {"ill: missing": 1}
        assert found.frame.loc[[3, 4], "age"].isna().all()
        assert np.isnan(found.frame.loc[3, "sex"])
        assert found.frame.loc[4, "sex"] == 1
        assert found.quarantine[0] == (3, "age: not a number (read as missing)")
    else:
        assert found.coverage.quarantined == {**rules, "ill: missing": 1}
        assert found.coverage.bad_cells == {}
        assert found.frame.index.tolist() == [1, 2, 6]
        assert found.coverage.quarantined_classes == {"no": 1, "yes": 1}


def test_a_bad_cell_may_be_refused() -> None:
    raw = frame(age=["50", "old", "70", "-4", "30", "20"])
    message = (
        r"hospital 'h': 1× age: not a number; 1× age: outside 0 to 120 years "
        r"\(row number 2, 4\); mend"
    )
    with pytest.raises(DataError, match=message):
        settle("h", check(raw, SCHEMA), np.arange(6), SCHEMA, "refuse")


def test_a_text_without_a_label_is_other_where_the_column_has_one() -> None:
    pain = Column(
        name="pain", kind="categorical", codes=(0, 1, 2), labels=("dull", "sharp", "other"), most=1
    )
    schema = SCHEMA.model_copy(update={"columns": (*SCHEMA.columns[:2], pain)})
    found = validate("h", frame(pain=["dull", "odd", None, "other", "sharp", "dull"]), schema, 2)
    assert found.coverage.kept == 6
    assert found.frame["pain"].fillna(-1).tolist() == [0, 2, -1, 2, 1, 0]
