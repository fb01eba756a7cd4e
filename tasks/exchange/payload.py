"""Tensors of a message: safetensors bytes, compared with what is expected before they are parsed.

Both sides know the model, so they know every name, dtype and shape beforehand (`Template`), and so
how long a payload can be. Nothing is allocated by what a header claims, and the safetensors library
sees only bytes whose header is known to be right. Format:
https://huggingface.co/docs/safetensors/index#format
"""

import json
from collections.abc import Mapping
from typing import Any

from safetensors import SafetensorError

from federated.types import Weights
from federated.weights import from_bytes
from tasks.exchange.refusal import RefusalError, shown
from tasks.exchange.template import PREFIX, Form, Template

_KEYS = {"dtype", "shape", "data_offsets"}


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
    header = _header(data[PREFIX : PREFIX + length], expected)
    _check_names(header, expected)
    spans = [_span(name, entry, expected.whole[name]) for name, entry in header.items()]
    at = 0
    for begin, end in sorted(spans):
        if begin != at:
            raise _wrong(f"a tensor begins at byte {begin}, not {at}")
        at = end
    if PREFIX + length + at != len(data):
        held = len(data) - PREFIX - length
        raise _wrong(f"the tensors are {at} bytes, the payload has {held}")
    try:
        return from_bytes(data)
    except SafetensorError as error:
        raise _wrong(f"no safetensors: {shown(str(error))}") from error


def _wrong(why: str) -> RefusalError:
    return RefusalError("tensors", why)


def _header_length(data: bytes, expected: Template) -> int:
    if len(data) < PREFIX:
        raise _wrong(f"a payload of {len(data)} bytes has no header")
    length = int.from_bytes(data[:PREFIX], "little")
    most = min(len(data) - PREFIX, expected.header_most)
    if length > most:
        raise _wrong(f"header of {length} bytes, at most {most} are right")
    return length


def _header(text: bytes, expected: Template) -> dict[str, Any]:
    for mark in "{[,":  # no more objects, lists and values than are right, which take memory
        if text.count(mark.encode()) > expected.longest_header.count(mark):
            raise _wrong(f"the header has more {mark!r} than it needs")
    try:
        found = json.loads(text.decode("utf-8"), object_pairs_hook=_without_doubles)
    except (ValueError, RecursionError) as error:
        raise _wrong(f"the header is no JSON ({type(error).__name__})") from error
    if not isinstance(found, dict):
        raise _wrong(f"the header is {shown(found)}, not an object")
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
        raise _wrong(f"tensor {missing[0]!r} is missing ({len(missing)} in all)")
    if other:
        raise _wrong(f"tensor {shown(other[0])} is not expected ({len(other)} in all)")
    raise _wrong("some of the optional tensors are missing, not all or none")


def _span(name: str, entry: Any, form: Form) -> tuple[int, int]:
    """Where the tensor lies: first byte, and the one after the last."""
    if not isinstance(entry, dict) or entry.keys() != _KEYS:
        raise _wrong(f"tensor {name!r} has not dtype, shape and data_offsets alone")
    if entry["dtype"] != form.dtype:
        raise _wrong(f"tensor {name!r} is {shown(entry['dtype'])}, not {form.dtype}")
    shape, offsets = _wholes(name, entry["shape"]), _wholes(name, entry["data_offsets"])
    if shape != form.shape:
        raise _wrong(f"tensor {name!r} has not the shape {list(form.shape)}")
    if len(offsets) != 2 or offsets[1] - offsets[0] != form.size:
        raise _wrong(f"tensor {name!r} has not the {form.size} bytes of its shape")
    return offsets[0], offsets[1]


def _wholes(name: str, values: Any) -> tuple[int, ...]:
    """A JSON list of integers; true and 1.0 are none, though Python thinks them equal to 1."""
    if not isinstance(values, list) or any(type(value) is not int for value in values):
        raise _wrong(f"tensor {name!r}: shape and data_offsets are integers")
    return tuple(values)
