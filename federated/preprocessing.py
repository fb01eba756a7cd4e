"""Raw rows → model inputs, by one function in training and inside the exported model.

Order of a table's inputs: numeric columns, binary columns, one input for each code of each
categorical column, then the missing indicators; each group in the schema's order.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from federated.config import DataConfig
from federated.records import RawHospital
from federated.schema import Column, ImageSchema, TableSchema
from federated.statistics import FeatureStatistics, fit, unscaled
from federated.types import HospitalData, Split


def input_shape(schema: TableSchema | ImageSchema, missing_indicators: bool) -> tuple[int, ...]:
    """Shape of one row of model inputs: (D,) or (c, h, w)."""
    if isinstance(schema, ImageSchema):
        return schema.shape
    return (len(input_names(schema, missing_indicators)),)


def input_names(schema: TableSchema, missing_indicators: bool) -> tuple[str, ...]:
    """A name for each model input, such as `age`, `cp=2` and `chol missing`."""
    plain = [c.name for kind in ("numeric", "binary") for c in _of(schema, kind)]
    coded = [f"{c.name}={code:g}" for c in _of(schema, "categorical") for code in c.codes]
    flags = [f"{schema.columns[i].name} missing" for i in _flagged(schema)]
    return (*plain, *coded, *(flags if missing_indicators else []))


def encode(
    raw: Tensor,
    mean: Tensor,
    std: Tensor,
    schema: TableSchema | ImageSchema,
    missing_indicators: bool,
) -> Tensor:
    """Raw rows → float32 inputs [n, *input_shape].

    raw: float [n, F], NaN for missing; or uint8 or float 0 … 255 [n, c, h, w].
    mean, std: float64 [F] or [n, F] (images: [c] or [n, c]).
    Numeric: (x - mean) / std, missing 0. Binary: 0 or 1, missing 0. Categorical: one-hot, missing
    or undeclared all 0. Images: pixels / 255, then (x - mean) / std by channel.
    """
    if isinstance(schema, ImageSchema):
        mean, std = mean[..., None, None].float(), std[..., None, None].float()
        return (raw.float() / 255 - mean) / std
    return _encode_table(raw, mean, std, schema, missing_indicators)


def _encode_table(
    raw: Tensor, mean: Tensor, std: Tensor, schema: TableSchema, missing_indicators: bool
) -> Tensor:
    """Blocks of float32 [n, …], joined. Codes are compared as float32, whatever raw is."""
    values = raw.double()
    absent = values.isnan()
    scaled = ((values - mean) / std).masked_fill(absent, 0.0)
    plain = values.masked_fill(absent, 0.0)
    numeric, binary = (_where(schema, kind) for kind in ("numeric", "binary"))
    blocks = [source[:, at] for source, at in ((scaled, numeric), (plain, binary)) if at]
    for i in _where(schema, "categorical"):
        codes = torch.tensor(schema.columns[i].codes, dtype=torch.float32, device=raw.device)
        blocks.append(values[:, i : i + 1].float() == codes)
    if missing_indicators and _flagged(schema):
        blocks.append(absent[:, _flagged(schema)])
    return torch.cat([block.float() for block in blocks], dim=1)


def _of(schema: TableSchema, kind: str) -> list[Column]:
    return [column for column in schema.columns if column.kind == kind]


def _where(schema: TableSchema, kind: str) -> list[int]:
    return [i for i, column in enumerate(schema.columns) if column.kind == kind]


def _flagged(schema: TableSchema) -> list[int]:
    """Columns that get a missing indicator: in a one-hot, missing already shows."""
    return [i for i, column in enumerate(schema.columns) if column.kind != "categorical"]


class Preprocess(nn.Module):
    """`encode` with its statistics inside, for the exported model.

    One FeatureStatistics serves every row. A sequence of them, one a hospital, asks for the
    hospital's index in that sequence as one more leading column: rows [n, 1 + F], or images
    flattened to [n, 1 + c·h·w].
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        schema: TableSchema | ImageSchema,
        statistics: FeatureStatistics | Sequence[FeatureStatistics],
        missing_indicators: bool,
    ) -> None:
        super().__init__()
        self.schema = schema
        self.missing_indicators = missing_indicators
        self.by_hospital = not isinstance(statistics, FeatureStatistics)
        each = [statistics] if isinstance(statistics, FeatureStatistics) else statistics
        self.register_buffer("mean", torch.tensor([s.mean for s in each], dtype=torch.float64))
        self.register_buffer("std", torch.tensor([s.std for s in each], dtype=torch.float64))

    def without_hospital(self, raw: Tensor) -> Tensor:
        """Rows without the leading hospital's index, in the schema's own shape."""
        rest = raw[:, 1:]
        if isinstance(self.schema, ImageSchema):
            return rest.reshape(-1, *self.schema.shape)
        return rest

    def forward(self, raw: Tensor) -> Tensor:
        """Raw rows → float32 inputs [n, *input_shape]."""
        mean, std = self.mean[0], self.std[0]
        if self.by_hospital:
            index, raw = raw[:, 0].long(), self.without_hospital(raw)
            mean, std = self.mean[index], self.std[index]
        return encode(raw, mean, std, self.schema, self.missing_indicators)


def fit_scaling(
    hospitals: Sequence[RawHospital], scaling: Literal["hospital", "federated", "off"]
) -> list[FeatureStatistics]:
    """Each hospital's statistics, fitted on training rows alone; see data.scaling."""
    schema = hospitals[0].schema
    if scaling == "hospital":
        return [fit([raw.training_features], schema) for raw in hospitals]
    if scaling == "off":
        return [unscaled(schema)] * len(hospitals)
    return [fit([raw.training_features for raw in hospitals], schema)] * len(hospitals)


def encode_hospital(
    raw: RawHospital, statistics: FeatureStatistics, missing_indicators: bool
) -> HospitalData:
    """A hospital's rows as model inputs, split into training, test and validation rows."""
    inputs = Preprocess(raw.schema, statistics, missing_indicators)(raw.features)
    return HospitalData(
        hospital=raw.name,
        train=Split(inputs[raw.train], raw.targets[raw.train]),
        test=Split(inputs[raw.test], raw.targets[raw.test]),
        validation=Split(inputs[raw.validation], raw.targets[raw.validation]),
    )


def to_data(
    hospitals: Sequence[RawHospital], data: DataConfig
) -> tuple[Preprocess, list[HospitalData]]:
    """All hospitals' rows as model inputs, and the module that does the same to new rows.

    hospitals: at least one, of one schema. With data.scaling `hospital` the module takes a leading
    column: the hospital's index in `hospitals`.
    """
    torch.set_num_threads(1)  # a hospital's rows are few: several threads wait for each other
    each = fit_scaling(hospitals, data.scaling)
    encoded = [
        encode_hospital(raw, statistics, data.missing_indicators)
        for raw, statistics in zip(hospitals, each, strict=True)
    ]
    statistics = each if data.scaling == "hospital" else each[0]
    return Preprocess(hospitals[0].schema, statistics, data.missing_indicators), encoded
