"""Model inputs by hand, and the exported module against `encode`."""

import io
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from federated.config import DataConfig
from federated.encoding import Encoding, agreed, noted, summary
from federated.errors import DataError
from federated.preprocessing import Preprocess, encode, to_data
from federated.records import RawHospital
from federated.schema import Column, Coverage, ImageSchema, TableSchema, Value
from federated.split import TEST, TRAIN, VALIDATION
from federated.statistics import FeatureStatistics
from federated.tally import Tally

NAN = float("nan")
TABLE = TableSchema(
    columns=(
        Column(name="pain", kind="categorical", codes=(0.1, 2, 3)),
        Column(name="age", kind="numeric"),
        Column(name="sex", kind="binary", codes=(0, 1)),
        Column(name="chol", kind="numeric"),
    ),
    target="ill",
    classes=("no", "yes"),
)
IMAGES = ImageSchema(shape=(2, 3, 3), target="ill", classes=("no", "yes"))
STATISTICS = FeatureStatistics((0.0, 50.0, 0.0, 0.0), (0.0, 10.0, 0.0, 1.0), (0, 9, 0, 9))
TALLY = Tally(
    read=(True,) * 4,
    missing=(5, 6, 7, 8),
    levels=((5, 9, 7), (), (10, 5), ()),
    varies=(False, True, False, True),
)
CHANNELS = FeatureStatistics((0.5, 0.25), (0.5, 0.125), (9, 9))
ROWS = torch.tensor(
    [[0.1, 60, 1, 0], [3, NAN, NAN, 0], [NAN, 45, 0, NAN], [9, 50, 1, 0], [2, 50, 1, 0]],
    dtype=torch.float64,
)
PIXELS = torch.arange(36, dtype=torch.uint8).reshape(2, 2, 3, 3) * 7


def encoding(
    schema: TableSchema | ImageSchema, indicators: bool = True, tally: Tally = TALLY
) -> Encoding:
    table = schema.kind == "table"
    statistics = STATISTICS if table else CHANNELS
    return agreed(schema, "federated", indicators, tally if table else None, statistics)


def test_inputs_by_hand() -> None:
    """Code 2 is the commonest: it has no input. Code 9 is none of the schema's: it reads as 2."""
    found = encoding(TABLE)
    assert found.names == (
        *("age", "chol", "sex", "age missing", "sex missing", "chol missing"),
        *("pain=0.1", "pain=3", "pain=missing"),
    )
    assert found.shape == (9,)
    assert encoding(TABLE, indicators=False).shape == (6,)
    assert found.codes == 0
    expected = [
        [1, 0, 1, 0, 0, 0, 1, 0, 0],
        [0, 0, 0, 1, 1, 0, 0, 1, 0],
        [-0.5, 0, 0, 0, 0, 1, 0, 0, 1],
        [0, 0, 1, 0, 0, 0, 0, 0, 0],
        [0, 0, 1, 0, 0, 0, 0, 0, 0],
    ]
    inputs = Preprocess(found)(ROWS)
    assert inputs.dtype == torch.float32
    assert torch.equal(inputs, torch.tensor(expected))


def test_other_takes_what_has_no_input() -> None:
    rare = replace(TALLY, levels=((4, 9, 7), (), (10, 5), ()))
    found = encoding(TABLE, tally=rare)
    assert found.names[-2:] == ("pain=3", "pain=missing")  # 4 are too few for other, too
    rare = replace(TALLY, levels=((4, 1, 9), (), (10, 5), ()))
    found = encoding(TABLE, tally=rare)
    assert found.names[-2:] == ("pain=other", "pain=missing")
    inputs = Preprocess(found)(ROWS)[:, -2:].tolist()
    assert inputs == [[1, 0], [0, 0], [0, 1], [1, 0], [1, 0]]


def test_float32_rows_match_their_codes_too() -> None:
    double, single = (Preprocess(encoding(TABLE))(r) for r in (ROWS, ROWS.float()))
    assert torch.equal(double, single)


def test_images_by_hand() -> None:
    assert encoding(IMAGES).shape == (2, 3, 3)
    white = torch.full((1, 2, 3, 3), 255, dtype=torch.uint8)
    found = Preprocess(encoding(IMAGES))(white)
    assert found[0, :, 0, 0].tolist() == [1.0, 6.0]


def exported(module: Preprocess, rows: Tensor) -> Any:
    """The module after a trip through a torch.export archive."""
    shapes = {"raw": {0: torch.export.Dim("rows")}}
    buffer = io.BytesIO()
    torch.export.save(torch.export.export(module, (rows,), dynamic_shapes=shapes), buffer)
    buffer.seek(0)
    return torch.export.load(buffer).module()


@pytest.mark.parametrize("indicators", [True, False])
@pytest.mark.parametrize(("schema", "rows"), [(TABLE, ROWS), (IMAGES, PIXELS)])
def test_export_gives_the_bits_of_encode(
    schema: TableSchema | ImageSchema, rows: Tensor, indicators: bool
) -> None:
    given = encoding(schema, indicators)
    program = exported(Preprocess(given), rows)
    (figures,) = given.statistics
    mean, std = (torch.tensor(v, dtype=torch.float64) for v in (figures.mean, figures.std))
    for batch in (rows, rows[:1], torch.cat([rows] * 5)):
        expected = encode(batch, mean, std, given)
        assert torch.equal(program(batch), expected)
        assert expected.shape[1:] == given.shape


@pytest.mark.parametrize(("schema", "rows"), [(TABLE, ROWS[:4]), (IMAGES, PIXELS)])
def test_one_program_serves_hospitals_with_their_own_scaling(
    schema: TableSchema | ImageSchema, rows: Tensor
) -> None:
    given = encoding(schema)
    (first,) = given.statistics
    second = replace(first, mean=tuple(m + 1 for m in first.mean))
    all_ = tuple(True for _ in first.mean)
    both = replace(given, statistics=(first, second), by_hospital=True, read=(all_, all_))
    fed = torch.cat([torch.tensor([0.0, 1.0] * (len(rows) // 2))[:, None], rows.flatten(1)], dim=1)
    found = exported(Preprocess(both), fed)(fed)
    for i, statistics in enumerate([first, second]):
        alone = Preprocess(replace(given, statistics=(statistics,)))(rows)
        assert torch.equal(found[i::2], alone[i::2])


def hospital(name: str, *ages: float) -> RawHospital:
    """Training rows of the given ages with cholesterol 0, a test row of age 1000 and a validation
    row of age 500."""
    rows = torch.tensor([[2, age, 1, 0] for age in (*ages, 1000.0, 500.0)], dtype=torch.float64)
    return RawHospital(
        name=name,
        features=rows,
        targets=torch.ones(len(rows), dtype=torch.int64),
        split=torch.tensor([TRAIN] * len(ages) + [TEST, VALIDATION], dtype=torch.uint8),
        schema=TABLE,
        coverage=Coverage(hospital=name, rows=len(rows), kept=len(rows)),
    )


def data(scaling: str) -> DataConfig:
    return DataConfig.model_validate(
        {
            "dataset": "table",
            "source": {},
            "hospitals": [],
            "partition": {"name": "natural"},
            "test_fraction": 0.5,
            "validation_fraction": 0.0,
            "min_rows": 2,
            "leave_out": [],
            "small_hospitals": "refuse",
            "scaling": scaling,
            "missing_indicators": False,
            "seed": 0,
        }
    )


def test_scaling_is_fitted_on_training_rows_only() -> None:
    both = [hospital("a", 1, 2, 2, 2, 3), hospital("b", 5, 6, 6, 6, 7)]
    module, federated = to_data(both, data("federated"))
    assert module.mean[0, 1] == 4.0  # (5 · 2 + 5 · 6) / 10
    assert not module.by_hospital
    ages = torch.cat([one.train.features[:, 0] for one in federated])
    assert torch.allclose(ages.std(), torch.tensor(1.0))
    module, own = to_data(both, data("hospital"))
    assert module.by_hospital
    assert module.mean[:, 1].tolist() == [2.0, 6.0]
    assert own[1].train.features[:, 0].tolist() == pytest.approx([-(2**0.5), 0, 0, 0, 2**0.5])
    _, off = to_data(both, data("off"))
    assert off[0].train.features[:, 0].tolist() == [1.0, 2.0, 2.0, 2.0, 3.0]
    assert off[0].test.features[:, 0].tolist() == [1000.0]
    assert off[0].validation.features[:, 0].tolist() == [500.0]
    assert off[0].validation.targets.tolist() == [1]


def test_a_column_that_is_constant_at_one_hospital_is_zero_there() -> None:
    """And it stays 0 for a test row of another value: nothing tells its scale."""
    other = hospital("va", 1, 2, 3, 4, 5)
    module, encoded = to_data([hospital("switzerland", *[40] * 6), other], data("hospital"))
    assert module.encoding.names == ("age",)
    assert encoded[0].train.features.tolist() == [[0.0]] * 6
    assert encoded[0].test.features.tolist() == [[0.0]]
    assert encoded[0].train.targets.tolist() == [1] * 6
    assert module(torch.tensor([[0.0, 2, 1000, 1, 0]])).tolist() == [[0.0]]


@pytest.mark.parametrize("scaling", ["hospital", "federated", "off"])
def test_a_column_known_of_four_patients_reads_as_missing_there(scaling: str) -> None:
    """By all rows of that hospital, and, where scaling is its own, in the exported model."""
    few, others = hospital("a", 9, 7, 7, 7, *[NAN] * 5), hospital("b", 1, 2, 3, 4, 5, *[NAN] * 3)
    given = data(scaling).model_copy(update={"missing_indicators": True})
    module, encoded = to_data([few, others], given)
    assert module.encoding.names == ("age", "age missing")
    for rows in (encoded[0].train, encoded[0].test, encoded[0].validation):
        assert rows.features.tolist() == [[0.0, 1.0]] * len(rows)
    assert encoded[1].train.features[:, 1].tolist() == [0.0] * 5 + [1.0] * 3
    if scaling == "hospital":
        assert module(torch.tensor([[0.0, 2, 8, 1, 0]])).tolist() == [[0.0, 1.0]]
    assert noted(few).notes == (
        "a: age read as missing: fewer than 5 training patients have a value",
    )


def test_a_column_that_no_hospital_knows_of_five_patients_is_no_input() -> None:
    few = hospital("a", 250_000, 240_000, 260_000, 255_000, *[NAN] * 8)
    chol = hospital("b", 1, 2, 3, 4, 5)
    chol.features[:, 3], chol.features[:, 1] = chol.features[:, 1].clone(), NAN
    for scaling in ("hospital", "federated", "off"):
        module, encoded = to_data([few, chol], data(scaling))
        assert module.encoding.names == ("chol",)
        why = "no hospital knows it of 5 training patients"
        assert f"column 'age' is no input: {why}" in module.encoding.notes
        assert float(encoded[0].train.features.abs().max()) < 3


@pytest.mark.parametrize("size", [1e141, 1e300])
def test_numbers_without_a_scale_are_refused_by_hospital_and_column(size: float) -> None:
    for scaling in ("hospital", "federated"):
        with pytest.raises(DataError, match="hospital 'a': column 'age' holds values beyond"):
            to_data([hospital("a", 1, 2, 3, 4, size)], data(scaling))
    with pytest.raises(DataError, match="hospital 'a': column 'age' holds a number too large"):
        to_data([hospital("a", 1, 2, 3, 4, size)], data("off"))


def test_a_test_row_too_large_for_float32_is_refused() -> None:
    far = hospital("a", 1, 2, 3, 4, 5)
    far.features[5, 1] = 1e300
    with pytest.raises(DataError, match="hospital 'a': column 'age' holds a number too large"):
        to_data([far], data("federated"))


def test_a_value_is_learnt_in_units_of_its_spread_at_all_hospitals() -> None:
    schema = TableSchema(columns=TABLE.columns, target="days", question=Value())
    both = [hospital("a", 1, 2, 3, 4, 5), hospital("b", 1, 2, 3, 4, 5)]
    values = [torch.arange(7, dtype=torch.float64) + 100 * i for i in (0, 1)]
    both = [replace(raw, schema=schema, targets=y) for raw, y in zip(both, values, strict=True)]
    pooled = torch.cat([y[:5] for y in values])
    for scaling in ("hospital", "federated", "off"):
        target = to_data(both, data(scaling))[0].encoding.target
        assert target.center == pytest.approx(float(pooled.mean()))
        assert target.scale == pytest.approx(float(pooled.std()))
    few = replace(both[0], features=both[0].features[:4], targets=values[0][:4])
    summed = summary(replace(few, split=few.split[:4]), "federated").sums
    assert (summed.count[-1], summed.total[-1]) == (0, 0.0)  # of four patients nothing is said
