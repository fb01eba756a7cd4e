"""Made-up hospitals of raw rows: numbers, yes/no, categories, and cells without a value."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from federated.records import RawHospital
from federated.schema import Column, Coverage, TableSchema
from federated.split import TEST, TRAIN

Array = NDArray[np.float64]


def schema_of(wards: int) -> TableSchema:
    """Age, chol (numbers), sex (yes/no), ward and icd (categories)."""
    codes = tuple(float(code) for code in range(wards))
    return TableSchema(
        columns=(
            Column(name="age", kind="numeric"),
            Column(name="chol", kind="numeric"),
            Column(name="sex", kind="binary", codes=(0, 1)),
            Column(name="ward", kind="categorical", codes=codes),
            Column(name="icd", kind="categorical", codes=codes),
        ),
        target="ill",
        classes=("no", "yes"),
    )


def hospital(name: str, values: Array, schema: TableSchema, seed: int) -> RawHospital:
    """Of these rows [n, F], a third of them for testing; who is ill, age and ward say in part."""
    drawn = np.random.default_rng(seed)
    known = np.nan_to_num(values)
    chance = 1 / (1 + np.exp(-(known[:, 0] + 0.5 * np.sin(known[:, 3]))))
    return RawHospital(
        name=name,
        features=torch.tensor(values, dtype=torch.float64),
        targets=torch.tensor((drawn.random(len(values)) < chance).astype(np.int64)),
        split=torch.tensor(np.where(drawn.random(len(values)) < 1 / 3, TEST, TRAIN)),
        schema=schema,
        coverage=Coverage(hospital=name, rows=len(values), kept=len(values)),
    )


def made_up(
    sizes: Sequence[int], wards: int, missing: float, seed: int, skew: float = 1.0
) -> list[RawHospital]:
    """Hospitals of so many rows; the k-th ward as common as k^-skew; missing: share of cells."""
    drawn = np.random.default_rng(seed)
    schema, share = schema_of(wards), np.arange(1.0, wards + 1) ** -skew
    found = []
    for i, size in enumerate(sizes):
        coded = drawn.choice(wards, (size, 2), p=share / share.sum())
        plain = drawn.normal(size=(size, 2)), drawn.integers(0, 2, (size, 1))
        values = np.column_stack([*plain, coded]).astype(np.float64)
        values[drawn.random(values.shape) < missing] = np.nan
        found.append(hospital(f"h{i}", values, schema, seed + i))
    return found
