"""Model inputs by hand, and the exported module against `encode`."""

import io
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from federated.config import DataConfig
from federated.preprocessing import Preprocess, encode, input_names, input_shape, to_data
from federated.records import RawHospital
from federated.schema import Column, Coverage, ImageSchema, TableSchema
from federated.split import TEST, TRAIN, VALIDATION
from federated.statistics import FeatureStatistics

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
STATISTICS = FeatureStatistics((0.0, 50.0, 0.0, 0.0), (1.0, 10.0, 1.0, 1.0), (0, 9, 0, 9))
CHANNELS = FeatureStatistics((0.5, 0.25), (0.5, 0.125), (9, 9))
ROWS = torch.tensor(
    [[0.1, 60, 1, 0], [3, NAN, NAN, 0], [NAN, 45, 0, NAN], [9, 50, 1, 0]], dtype=torch.float64
)
PIXELS = torch.arange(36, dtype=torch.uint8).reshape(2, 2, 3, 3) * 7


def test_inputs_by_hand() -> None:
    assert input_names(TABLE, True) == (
        *("age", "chol", "sex", "pain=0.1", "pain=2", "pain=3"),
        *("age missing", "sex missing", "chol missing"),
    )
    assert input_shape(TABLE, True) == (9,)
    assert input_shape(TABLE, False) == (6,)
    found = Preprocess(TABLE, STATISTICS, True)(ROWS)
    expected = [
        [1, 0, 1, 1, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 1, 1, 1, 0],
        [-0.5, 0, 0, 0, 0, 0, 0, 0, 1],
        [0, 0, 1, 0, 0, 0, 0, 0, 0],
    ]
    assert found.dtype == torch.float32
    assert torch.equal(found, torch.tensor(expected))


def test_float32_rows_match_their_codes_too() -> None:
    double, single = (Preprocess(TABLE, STATISTICS, True)(r) for r in (ROWS, ROWS.float()))
    assert torch.equal(double, single)


def test_images_by_hand() -> None:
    assert input_shape(IMAGES, True) == (2, 3, 3)
    white = torch.full((1, 2, 3, 3), 255, dtype=torch.uint8)
    found = Preprocess(IMAGES, CHANNELS, False)(white)
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
    statistics = STATISTICS if schema is TABLE else CHANNELS
    module = Preprocess(schema, statistics, indicators)
    program = exported(module, rows)
    mean, std = (torch.tensor(v, dtype=torch.float64) for v in (statistics.mean, statistics.std))
    for batch in (rows, rows[:1], torch.cat([rows] * 5)):
        expected = encode(batch, mean, std, schema, indicators)
        assert torch.equal(program(batch), expected)
        assert expected.shape[1:] == input_shape(schema, indicators)


@pytest.mark.parametrize(("schema", "rows"), [(TABLE, ROWS), (IMAGES, PIXELS)])
def test_one_program_serves_hospitals_with_their_own_scaling(
    schema: TableSchema | ImageSchema, rows: Tensor
) -> None:
    first = STATISTICS if schema is TABLE else CHANNELS
    second = replace(first, mean=tuple(m + 1 for m in first.mean))
    fed = torch.cat([torch.tensor([0.0, 1.0] * (len(rows) // 2))[:, None], rows.flatten(1)], dim=1)
    program = exported(Preprocess(schema, [first, second], True), fed)
    found = program(fed)
    for i, statistics in enumerate([first, second]):
        alone = Preprocess(schema, statistics, True)(rows)
        assert torch.equal(found[i::2], alone[i::2])


def hospital(name: str, *ages: float) -> RawHospital:
    """Training rows of the given ages with constant cholesterol 0, a test row of age 1000 and a
    validation row of age 500."""
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


def test_a_constant_column_becomes_zero_and_one_class_works() -> None:
    _, encoded = to_data([hospital("switzerland", 40, 50, 60)], data("hospital"))
    assert encoded[0].train.features[:, 1].tolist() == [0.0, 0.0, 0.0]
    assert encoded[0].train.targets.tolist() == [1, 1, 1]
    assert bool(torch.isfinite(encoded[0].train.features).all())
