"""Counts of many hospitals as few bytes, exactly: most bins of most histograms are empty.

JSON, compressed by zlib. Per field one list over hospitals; of arrays, stacked to [H, …], only the
cells that are not 0: how far each lies behind the one before it, and its value.
"""

import json
import zlib
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from federated.counts import Counts
from federated.histograms import Ints
from federated.objectives import from_dict


def pack(counts: Mapping[str, Counts]) -> bytes:
    """The counts of all hospitals; empty for none. They have one kind, and the same bins."""
    if not counts:
        return b""
    found = list(counts.values())
    first = found[0]
    whole = [f.name for f in fields(first) if f.name not in first.arrays]
    values = {
        "kind": first.reading.kind,
        "hospitals": list(counts),
        "whole": {name: [getattr(c, name) for c in found] for name in whole},
        "arrays": {
            name: _sparse(np.stack([getattr(c, name) for c in found])) for name in first.arrays
        },
    }
    return zlib.compress(json.dumps(values, separators=(",", ":")).encode(), level=1)


def unpack(data: bytes) -> dict[str, Counts]:
    """Counts by hospital. Raises DataError where they contradict themselves."""
    if not data:
        return {}
    values = json.loads(zlib.decompress(data))
    arrays = {name: _dense(sparse) for name, sparse in values["arrays"].items()}
    return {
        hospital: from_dict(
            {"kind": values["kind"]}
            | {name: every[i] for name, every in values["whole"].items()}
            | {name: every[i] for name, every in arrays.items()}
        )
        for i, hospital in enumerate(values["hospitals"])
    }


def _sparse(array: Ints) -> dict[str, Any]:
    flat = array.ravel()
    at = np.flatnonzero(flat)
    gaps = np.diff(at, prepend=0)
    return {"shape": array.shape, "gaps": gaps.tolist(), "values": flat[at].tolist()}


def _dense(sparse: Mapping[str, Any]) -> Ints:
    array = np.zeros(sparse["shape"], dtype=np.int64)
    at = np.cumsum(np.array(sparse["gaps"], dtype=np.int64))
    array.reshape(-1)[at] = np.array(sparse["values"], dtype=np.int64)
    return array
