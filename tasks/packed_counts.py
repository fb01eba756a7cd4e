"""Counts of many hospitals as few bytes, exactly: most bins of most histograms are empty.

Frames of a length and zlib's JSON. Per field one list over hospitals; of arrays, one after another,
only the cells that are not 0: how far each lies behind the one before it, and its value.
"""

import json
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from federated.counts import Counts, merge
from federated.histograms import Ints
from federated.objectives import from_dict

_HEAD = struct.Struct(">I")


@dataclass(frozen=True)
class Packed:
    """data: counts by hospital; sum: of them all, None where there are none.

    A round's counts stay packed from where they were counted to the journal: unpacked, those of a
    thousand hospitals are a hundred megabytes.
    """

    data: bytes
    sum: Counts | None


def pack(counts: Mapping[str, Counts]) -> Packed:
    """The counts of all hospitals. They have one kind, and the same bins."""
    return Packed(_frame(counts), merge(list(counts.values()))) if counts else Packed(b"", None)


def together(parts: Sequence[Packed]) -> Packed:
    """One of several, in their order."""
    sums = [part.sum for part in parts if part.sum is not None]
    return Packed(b"".join(part.data for part in parts), merge(sums) if sums else None)


def unpack(data: bytes) -> dict[str, Counts]:
    """Counts by hospital. Raises DataError where they contradict themselves."""
    return {hospital: counts for group in groups(data) for hospital, counts in group.items()}


def groups(data: bytes) -> Iterator[dict[str, Counts]]:
    """Counts by hospital, of the hospitals that were packed together: some megabytes at a time.

    Raises DataError where they contradict themselves.
    """
    start = 0
    while start < len(data):
        (size,) = _HEAD.unpack_from(data, start)
        start += _HEAD.size
        yield _unframed(zlib.decompress(data[start : start + size]))
        start += size


def _frame(counts: Mapping[str, Counts]) -> bytes:
    """Length, and compressed JSON."""
    found = list(counts.values())
    first = found[0]
    whole = [f.name for f in fields(first) if f.name not in first.arrays]
    values = {
        "kind": first.reading.kind,
        "hospitals": list(counts),
        "whole": {name: [getattr(c, name) for c in found] for name in whole},
        "arrays": {name: _sparse([getattr(c, name) for c in found]) for name in first.arrays},
    }
    body = zlib.compress(json.dumps(values, separators=(",", ":")).encode(), level=1)
    return _HEAD.pack(len(body)) + body


def _unframed(text: bytes) -> dict[str, Counts]:
    values = json.loads(text)
    arrays = {name: _dense(sparse) for name, sparse in values["arrays"].items()}
    return {
        hospital: from_dict(
            {"kind": values["kind"]}
            | {name: every[i] for name, every in values["whole"].items()}
            | {name: every[i] for name, every in arrays.items()}
        )
        for i, hospital in enumerate(values["hospitals"])
    }


def _sparse(arrays: Sequence[Ints]) -> dict[str, Any]:
    """Of arrays alike, one after another."""
    size = arrays[0].size
    cells = [np.flatnonzero(array) for array in arrays]
    at = np.concatenate([own + i * size for i, own in enumerate(cells)])
    values = np.concatenate([a.ravel()[own] for a, own in zip(arrays, cells, strict=True)])
    gaps = np.diff(at, prepend=0)
    shape = (len(arrays), *arrays[0].shape)
    return {"shape": shape, "gaps": gaps.tolist(), "values": values.tolist()}


def _dense(sparse: Mapping[str, Any]) -> Ints:
    array = np.zeros(sparse["shape"], dtype=np.int64)
    at = np.cumsum(np.array(sparse["gaps"], dtype=np.int64))
    array.reshape(-1)[at] = np.array(sparse["values"], dtype=np.int64)
    return array
