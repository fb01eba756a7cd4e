"""Tensors of a message: safetensors bytes, compared with what is expected before they are parsed.

Both sides know the model, so they know every name, dtype and shape beforehand (`Template`), and so
how long a payload can be. Nothing is allocated by what a header claims, and the safetensors library
sees only bytes whose header is known to be right. Format:
https://huggingface.co/docs/safetensors/index#format
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from safetensors import SafetensorError

from federated.types import Weights
from federated.weights import from_bytes
from tasks.exchange.refusal import RefusalError, shown

_PREFIX = 8  # bytes: the header's length, little endian
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
_KEYS = {"dtype", "shape", "data_offsets"}


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
    def header_most(self) -> int:
        """Bytes of the longest header that a writer has reason to make."""
        end = sum(form.size for form in self.whole.values())
        header = {
            name: {"dtype": form.dtype, "shape": form.shape, "data_offsets": [end, end]}
            for name, form in self.whole.items()
        }
        return len(json.dumps(header)) + _PREFIX  # it is padded to 8

    @cached_property
    def most(self) -> int:
        """Bytes of the longest payload: no reader need take more from the other side."""
        return _PREFIX + self.header_most + sum(form.size for form in self.whole.values())


def template(required: Weights, optional: Weights | None = None) -> Template:
    """Names, dtypes and shapes of these tensors. Raises ValueError for a dtype not exchanged."""
    return Template(_forms(required), _forms(optional or {}))


def check_size(data: bytes, expected: Template) -> None:
    """Raises RefusalError (size) for more bytes than any right payload has."""
    if len(data) > expected.most:
        raise RefusalError(
            "size", f"payload of {len(data)} bytes, at most {expected.most} are right"
        )


def read(data: bytes, expected: Template) -> Weights:
    """The tensors, in memory of their own.

    Raises RefusalError: size, or tensors where anything but exactly the expected ones is there.
    """
    check_size(data, expected)
    length = _header_length(data, expected)
    header = _header(data[_PREFIX : _PREFIX + length])
    _check_names(header, expected)
    spans = [_span(name, entry, expected.whole[name]) for name, entry in header.items()]
    at = 0
    for begin, end in sorted(spans):
        if begin != at:
            raise RefusalError("tensors", f"a tensor begins at byte {begin}, not {at}")
        at = end
    if _PREFIX + length + at != len(data):
        held = len(data) - _PREFIX - length
        raise RefusalError("tensors", f"the tensors are {at} bytes, the payload has {held}")
    try:
        return from_bytes(data)
    except SafetensorError as error:
        raise RefusalError("tensors", f"no safetensors: {shown(str(error))}") from error


def _forms(tensors: Weights) -> dict[str, Form]:
    unknown = {name: t.dtype for name, t in tensors.items() if t.dtype not in _CODES}
    if unknown:
        raise ValueError(f"tensors of these dtypes are not exchanged: {unknown}")
    return {
        name: Form(_CODES[t.dtype], tuple(t.shape), math.prod(t.shape) * t.element_size())
        for name, t in tensors.items()
    }


def _header_length(data: bytes, expected: Template) -> int:
    if len(data) < _PREFIX:
        raise RefusalError("tensors", f"a payload of {len(data)} bytes has no header")
    length = int.from_bytes(data[:_PREFIX], "little")
    most = min(len(data) - _PREFIX, expected.header_most)
    if length > most:
        raise RefusalError("tensors", f"header of {length} bytes, at most {most} are right")
    return length


def _header(text: bytes) -> dict[str, Any]:
    try:
        found = json.loads(text.decode("utf-8"), object_pairs_hook=_without_doubles)
    except (ValueError, RecursionError) as error:
        raise RefusalError("tensors", f"the header is no JSON ({type(error).__name__})") from error
    if not isinstance(found, dict):
        raise RefusalError("tensors", f"the header is {shown(found)}, not an object")
    return found


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is there twice")
    return found


def _check_names(header: Mapping[str, Any], expected: Template) -> None:
    if header.keys() in (expected.required.keys(), expected.whole.keys()):
        return
    missing = sorted(expected.required.keys() - header.keys())
    other = sorted(header.keys() - expected.whole.keys())
    if missing:
        raise RefusalError("tensors", f"tensor {missing[0]!r} is missing ({len(missing)} in all)")
    if other:
        raise RefusalError(
            "tensors", f"tensor {shown(other[0])} is not expected ({len(other)} in all)"
        )
    raise RefusalError("tensors", "some of the optional tensors are missing, not all or none")


def _span(name: str, entry: Any, form: Form) -> tuple[int, int]:
    """Where the tensor lies: first byte, and the one after the last."""
    if not isinstance(entry, dict) or entry.keys() != _KEYS:
        raise RefusalError(
            "tensors", f"tensor {name!r} has not dtype, shape and data_offsets alone"
        )
    if entry["dtype"] != form.dtype:
        raise RefusalError(
            "tensors", f"tensor {name!r} is {shown(entry['dtype'])}, not {form.dtype}"
        )
    shape, offsets = _wholes(name, entry["shape"]), _wholes(name, entry["data_offsets"])
    if shape != form.shape:
        raise RefusalError("tensors", f"tensor {name!r} has not the shape {list(form.shape)}")
    if len(offsets) != 2 or offsets[1] - offsets[0] != form.size:
        raise RefusalError("tensors", f"tensor {name!r} has not the {form.size} bytes of its shape")
    return offsets[0], offsets[1]


def _wholes(name: str, values: Any) -> tuple[int, ...]:
    """A JSON list of integers; true and 1.0 are none, though Python thinks them equal to 1."""
    if not isinstance(values, list) or any(type(value) is not int for value in values):
        raise RefusalError("tensors", f"tensor {name!r}: shape and data_offsets are integers")
    return tuple(values)
