"""What a payload must hold: the names, dtypes and shapes that both sides know from the model."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import torch

from federated.types import Weights

PREFIX = 8  # bytes of a safetensors file before its header: the header's length, little endian
_CODES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
}


@dataclass(frozen=True)
class Form:
    """Of one tensor. dtype: safetensors' code; size: bytes."""

    dtype: str
    shape: tuple[int, ...]
    size: int


@dataclass(frozen=True)
class Template:
    """What a payload must hold, by name. optional: there all together, or not at all."""

    required: Mapping[str, Form]
    optional: Mapping[str, Form] = field(default_factory=dict)

    @cached_property
    def whole(self) -> Mapping[str, Form]:
        """All that may be there."""
        return {**self.required, **self.optional}

    @cached_property
    def longest_header(self) -> str:
        """None that a writer has reason to make is longer, but for 7 spaces after it."""
        end = sum(form.size for form in self.whole.values())
        header = {
            name: {"dtype": form.dtype, "shape": form.shape, "data_offsets": [end, end]}
            for name, form in self.whole.items()
        }
        return json.dumps(header)

    @property
    def header_most(self) -> int:
        """Bytes."""
        return len(self.longest_header) + PREFIX

    @cached_property
    def most(self) -> int:
        """Bytes of the longest payload: no reader need take more from the other side."""
        return PREFIX + self.header_most + sum(form.size for form in self.whole.values())


def template_of(required: Weights, optional: Weights | None = None) -> Template:
    """Names, dtypes and shapes of these tensors. Raises ValueError for a dtype not exchanged."""
    return Template(_forms(required), _forms(optional or {}))


def _forms(tensors: Weights) -> dict[str, Form]:
    unknown = {name: t.dtype for name, t in tensors.items() if t.dtype not in _CODES}
    if unknown:
        raise ValueError(f"tensors of these dtypes are not exchanged: {unknown}")
    return {
        name: Form(_CODES[t.dtype], tuple(t.shape), math.prod(t.shape) * t.element_size())
        for name, t in tensors.items()
    }
