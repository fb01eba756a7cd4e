"""Which inputs a model has, by hand."""

import pytest

from federated.errors import DataError
from federated.inputs import NO_INPUT, WIDE, Inputs, inputs_of
from federated.schema import Column, TableSchema
from federated.tally import Tally


def table(*columns: Column) -> TableSchema:
    return TableSchema(columns=columns, target="ill", classes=("no", "yes"))


AGE = Column(name="age", kind="numeric")
SEX = Column(name="sex", kind="binary", codes=(0, 1))
WARD = Column(
    name="ward", kind="categorical", codes=(0, 1, 2, 3), labels=("ent", "icu", "med", "x")
)


def of(
    column: Column,
    *levels: int,
    missing: int = 0,
    read: bool = True,
    varies: bool = False,
    indicators: bool = True,
) -> Inputs:
    """Of an age that varies, and of one more column."""
    found = Tally((True, read), (0, missing), ((), levels), (True, varies))
    return inputs_of(table(AGE, column), found, found.varies, indicators)


def test_order_and_names() -> None:
    schema = table(WARD, AGE, SEX)
    found = Tally((True,) * 3, (8, 7, 6), ((9, 20, 5, 0), (), (10, 5)), (False, True, False))
    inputs = inputs_of(schema, found, found.varies, True)
    assert inputs.names == (
        *("age", "sex", "age missing", "sex missing"),
        *("ward=ent", "ward=med", "ward=missing"),
    )
    assert (inputs.numeric, inputs.binary, inputs.flagged) == ((1,), (2,), (1, 2))
    without = inputs_of(schema, found, found.varies, False)
    assert without.names == ("age", "sex", "ward=ent", "ward=med", "ward=missing")


def test_the_commonest_category_is_the_reference() -> None:
    (ward,) = of(WARD, 9, 20, 5, 20).coded
    assert ward.reference == "icu"  # of two as common the first
    assert dict(zip(ward.codes, ward.slots, strict=True)) == {0: 0, 1: NO_INPUT, 2: 1, 3: 2}
    assert (ward.other, ward.missing) == (NO_INPUT, NO_INPUT)
    (ward,) = of(WARD, 9, 20, 5, 7, missing=21).coded
    assert ward.reference == "missing"
    assert ward.slots == (0, 1, 2, 3)


def test_rare_categories_are_other_and_said() -> None:
    inputs = of(WARD, 9, 20, 4, 1)
    (ward,) = inputs.coded
    assert ward.codes == (0, 1)
    assert ward.names == ("ward=ent", "ward=other")
    assert ward.other == 1
    assert inputs.notes == (
        "column 'ward': not surely 5 training patients have 'med', 'x' (a hospital with 1 to 4 "
        "says 1); read as 'other'; inputs left: 2",
    )


def test_categories_that_nobody_has_are_the_reference() -> None:
    inputs = of(WARD, 9, 20, 0, 0)
    assert inputs.coded[0].names == ("ward=ent",)
    assert inputs.coded[0].other == NO_INPUT
    assert inputs.notes == (
        "column 'ward': not surely 5 training patients have 'med', 'x' (a hospital with 1 to 4 "
        "says 1); read as the commonest, 'icu'; inputs left: 1",
    )


def test_most_keeps_the_commonest_of_the_training_rows() -> None:
    labels = ("a", "b", "c", "d", "other")
    capped = Column(name="icd", kind="categorical", codes=(0, 1, 2, 3, 4), labels=labels, most=2)
    inputs = of(capped, 6, 30, 7, 20, 5)
    (icd,) = inputs.coded
    assert icd.codes == (1, 3)
    assert icd.reference == "b"
    assert icd.names == ("icd=d", "icd=other")  # 6 + 7 + 5 patients
    assert inputs.notes == ()


@pytest.mark.parametrize(
    ("column", "levels", "more", "why"),
    [
        (AGE, (), {}, "is no input: it is constant"),
        (AGE, (), {"read": False, "missing": 99}, "is no input: no hospital knows it of 5"),
        (AGE, (), {"missing": 9}, "is no input, only whether it is missing: it is constant"),
        (SEX, (99, 4), {}, "is no input: too few training patients differ in it"),
        (WARD, (99, 0, 0, 0), {}, "is no input: too few training patients differ in it"),
        (WARD, (0, 0, 0, 0), {"read": False, "missing": 99}, "no hospital knows it of 5 training"),
    ],
)
def test_what_does_not_vary_has_no_input_and_is_said(
    column: Column, levels: tuple[int, ...], more: dict[str, int], why: str
) -> None:
    inputs = of(column.model_copy(update={"name": "c"}), *levels, **more)  # type: ignore[arg-type]
    assert inputs.names == ("age", *(["c missing"] if "only" in why else []))
    (note,) = inputs.notes
    assert "column 'c'" in note
    assert why in note


def test_an_indicator_needs_five_patients_without_a_value() -> None:
    assert of(SEX, 10, 10, missing=4).names == ("age", "sex")
    assert of(SEX, 10, 10, missing=5).names == ("age", "sex", "sex missing")


def test_many_categories_are_kept_as_codes() -> None:
    codes = tuple(float(code) for code in range(WIDE + 1))
    wide = Column(name="icd", kind="categorical", codes=codes)
    assert not of(wide, *[6] * WIDE, 0).wide
    assert of(wide, *[6] * (WIDE + 1), missing=5).wide


def test_nothing_to_learn_from_is_refused() -> None:
    with pytest.raises(DataError, match="nothing to learn from"):
        inputs_of(table(AGE), Tally((True,), (0,), ((),), (False,)), (False,), True)


def test_codes_that_float32_cannot_tell_apart_are_refused() -> None:
    snomed = Column(name="code", kind="categorical", codes=(16777216.0, 16777217.0))
    with pytest.raises(DataError, match="column 'code'"):
        of(snomed, 9, 9)


def test_too_few_missing_cells_for_an_indicator_are_said() -> None:
    assert of(SEX, 10, 10, missing=5).notes == ()
    (note,) = of(SEX, 10, 10, missing=1).notes
    assert note == "column 'sex': fewer than 5 training patients have no value; it reads as 0"
