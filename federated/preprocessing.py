"""Raw rows → model inputs, by one function in training and inside the exported model."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from federated.config import DataConfig
from federated.encoding import Encoding, fit_encoding
from federated.errors import DataError
from federated.inputs import Coded, Inputs
from federated.records import RawHospital
from federated.schema import ImageSchema
from federated.tally import readable
from federated.types import HospitalData, Split


def encode(raw: Tensor, mean: Tensor, std: Tensor, encoding: Encoding) -> Tensor:
    """Raw rows → float32 inputs [n, *encoding.shape]; of many categories codes (`coded.py`).

    raw: float [n, F], NaN for missing; or uint8 or float 0 … 255 [n, c, h, w].
    mean, std: float64 [F] or [n, F] (images: [c] or [n, c]).
    Numeric: (x - mean) / std, 0 where missing or where std is 0. Binary: 0 or 1, missing 0. Of a
    categorical column: 1 at the slot of the code. Images: pixels / 255, then (x - mean) / std by
    channel.
    """
    if encoding.inputs is None:
        mean, std = mean[..., None, None].float(), std[..., None, None].float()
        return (raw.float() / 255 - mean) / std.masked_fill(std == 0, 1.0)
    values = raw.double()
    blocks = [_plain(values, mean, std, encoding.inputs)]
    start = blocks[0].shape[1]
    for one in encoding.inputs.coded:
        slots = _slots(values[:, one.column], one)[:, None]
        if encoding.codes:
            blocks.append((slots + start).masked_fill(slots < 0, -1).float())
        else:
            blocks.append((slots == torch.arange(len(one.names), device=raw.device)).float())
        start += len(one.names)
    return torch.cat(blocks, dim=1)


def _plain(values: Tensor, mean: Tensor, std: Tensor, inputs: Inputs) -> Tensor:
    """The inputs of numeric and binary columns, and missing indicators, float32 [n, P]."""
    absent = values.isnan()
    scaled = ((values - mean) / std).masked_fill(absent | (std == 0), 0.0)
    known = values.masked_fill(absent, 0.0)
    parts = (scaled, inputs.numeric), (known, inputs.binary), (absent, inputs.flagged)
    return torch.cat([source[:, list(places)].float() for source, places in parts], dim=1)


def _slots(values: Tensor, column: Coded) -> Tensor:
    """A slot a row, int64 [n]. Codes are compared as float32, whatever the rows are."""
    if not column.codes:
        slots = torch.full_like(values, column.other, dtype=torch.int64)
    else:
        codes = torch.tensor(column.codes, dtype=torch.float32, device=values.device)
        own = torch.tensor(column.slots, device=values.device)
        single = values.float()
        places = torch.searchsorted(codes, single).clamp(max=len(codes) - 1)
        slots = torch.where(codes[places] == single, own[places], column.other)
    return slots.masked_fill(values.isnan(), column.missing)


class Preprocess(nn.Module):
    """`encode` with its statistics inside, for the exported model.

    With statistics of each hospital it asks for the hospital's index as one more leading column:
    rows [n, 1 + F], or images flattened to [n, 1 + c·h·w]. Columns that read as missing at a
    hospital read so there too.
    """

    mean: Tensor
    std: Tensor
    hidden: Tensor

    def __init__(self, encoding: Encoding) -> None:
        super().__init__()
        self.encoding = encoding
        each = encoding.statistics
        self.register_buffer("mean", torch.tensor([s.mean for s in each], dtype=torch.float64))
        self.register_buffer("std", torch.tensor([s.std for s in each], dtype=torch.float64))
        self.register_buffer("hidden", ~torch.tensor(encoding.read, dtype=torch.bool))

    @property
    def by_hospital(self) -> bool:
        """Does each row say its hospital?"""
        return self.encoding.by_hospital

    def without_hospital(self, raw: Tensor) -> Tensor:
        """Rows without the leading hospital's index, in the schema's own shape."""
        rest = raw[:, 1:]
        if isinstance(self.encoding.schema, ImageSchema):
            return rest.reshape(-1, *self.encoding.schema.shape)
        return rest

    def forward(self, raw: Tensor) -> Tensor:
        """Raw rows → float32 inputs, as `encode` has them."""
        mean, std = self.mean[0], self.std[0]
        if self.by_hospital:
            index, raw = raw[:, 0].long(), self.without_hospital(raw)
            mean, std = self.mean[index], self.std[index]
            if self.encoding.inputs is not None:
                raw = raw.masked_fill(self.hidden[index], torch.nan)
        return encode(raw, mean, std, self.encoding)


def encode_hospital(raw: RawHospital, encoding: Encoding, place: int = 0) -> HospitalData:
    """A hospital's rows as model inputs, split into training, test and validation rows.

    place: of its statistics in the encoding. Raises DataError, naming hospital and column, for a
    number that float32 cannot hold.
    """
    features = raw.features
    if encoding.inputs is not None:
        features = features.masked_fill(~readable(raw.training_features), torch.nan)
    figures = encoding.statistics[place]
    mean, std = (torch.tensor(v, dtype=torch.float64) for v in (figures.mean, figures.std))
    inputs = encode(features, mean, std, encoding)
    _require_finite(raw.name, inputs, encoding)
    train, test, validation = (
        Split(inputs[rows], raw.targets[rows]) for rows in (raw.train, raw.test, raw.validation)
    )
    return HospitalData(raw.name, train, test, validation)


def _require_finite(hospital: str, inputs: Tensor, encoding: Encoding) -> None:
    finite = inputs.isfinite().flatten(1).all(dim=0)
    if not bool(finite.all()):
        name = encoding.names[int(finite.int().argmin())]
        raise DataError(
            f"hospital {hospital!r}: column {name!r} holds a number too large to learn from: give "
            "its range (low, high) in data.source.schema, or name it in data.source.drop"
        )


def to_data(
    hospitals: Sequence[RawHospital], data: DataConfig
) -> tuple[Preprocess, list[HospitalData]]:
    """All hospitals' rows as model inputs, and the module that does the same to new rows.

    hospitals: at least one, of one schema. With data.scaling `hospital` the module takes a leading
    column: the hospital's index in `hospitals`.
    """
    torch.set_num_threads(1)  # a hospital's rows are few: several threads wait for each other
    encoding = fit_encoding(hospitals, data.scaling, data.missing_indicators)
    each = range(len(hospitals)) if encoding.by_hospital else [0] * len(hospitals)
    encoded = [encode_hospital(raw, encoding, i) for raw, i in zip(hospitals, each, strict=True)]
    return Preprocess(encoding), encoded
