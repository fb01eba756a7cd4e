"""All hospitals' model-ready rows in one shared file, loaded once for all worker processes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from federated.types import HospitalData, Split
from tasks.engine.shared_file import SharedFile

_DTYPES = {str(t): t for t in (torch.float32, torch.float64, torch.int64)}
_PARTS = ("train", "test", "validation")
_ALIGNED = 64


@dataclass(frozen=True)
class Arena:
    """file: the bytes; layout: hospital → part → where its features and targets lie (JSON)."""

    file: SharedFile
    length: int
    layout: Mapping[str, Any]

    def hospital(self, name: str) -> HospitalData:
        """A hospital's rows, as views of the shared bytes."""
        parts = {
            part: Split(*(self._tensor(place) for place in places))
            for part, places in self.layout[name].items()
        }
        return HospitalData(hospital=name, **parts)

    def _tensor(self, place: Mapping[str, Any]) -> Tensor:
        dtype, shape = _DTYPES[place["dtype"]], place["shape"]
        count = torch.Size(shape).numel()
        if count == 0:
            return torch.empty(shape, dtype=dtype)
        raw = self.file.view(self.length)
        flat = torch.frombuffer(raw, dtype=dtype, count=count, offset=place["offset"])
        return flat.reshape(shape)


def arena(hospitals: Mapping[str, HospitalData]) -> Arena:
    """Copy the rows of all hospitals into a new shared file."""
    layout: dict[str, dict[str, list[dict[str, Any]]]] = {}
    end = 0
    tensors: list[tuple[int, Tensor]] = []
    for name, data in hospitals.items():
        layout[name] = {}
        for part, tensor in _tensors(data):
            place = {"offset": end, "shape": [*tensor.shape], "dtype": str(tensor.dtype)}
            layout[name].setdefault(part, []).append(place)
            tensors.append((end, tensor))
            end += -(-tensor.nbytes // _ALIGNED) * _ALIGNED
    made = Arena(SharedFile.create(), end, layout)
    whole = torch.frombuffer(made.file.view(end), dtype=torch.uint8)
    for start, tensor in tensors:
        flat = tensor.contiguous().reshape(-1).view(torch.uint8)
        whole[start : start + len(flat)] = flat
    return made


def _tensors(data: HospitalData) -> Iterator[tuple[str, Tensor]]:
    for part in _PARTS:
        split: Split = getattr(data, part)
        yield part, split.features
        yield part, split.targets
