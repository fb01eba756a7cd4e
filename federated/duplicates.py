"""Rows that are the same in every cell: across a split or two hospitals they are a leak.

Rows are compared by their hashes, so that hospitals of a simulation need no second copy of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from federated.split import TEST, VALIDATION, Codes

Hashes = NDArray[np.uint64]


def row_hashes(features: NDArray[Any], targets: NDArray[Any]) -> Hashes:
    """A hash of each row with its target, uint64 [n]: the same for the same cells.

    features: [n, ...], NaN where missing; targets: [n, ...].
    """
    width = len(features) and (features.size // len(features))
    cells = np.ascontiguousarray(features).reshape(len(features), width)
    if np.issubdtype(cells.dtype, np.floating):
        cells = np.where(np.isnan(cells), np.nan, cells + 0.0)  # of NaN and of 0 one each
    asked = np.ascontiguousarray(targets)
    digests = (
        blake2b(row.tobytes() + target.tobytes(), digest_size=8).digest()
        for row, target in zip(cells, asked, strict=True)
    )
    return np.frombuffer(b"".join(digests), dtype=np.uint64)


def copies(hashes: Hashes, codes: Codes) -> tuple[int, int]:
    """Test rows that are copies of rows with another use, and validation rows that are copies of
    training rows."""
    test, validation = codes == TEST, codes == VALIDATION
    train = ~(test | validation)
    return (
        int(np.isin(hashes[test], hashes[~test]).sum()),
        int(np.isin(hashes[validation], hashes[train]).sum()),
    )


def elsewhere(keys: Mapping[str, NDArray[Any]]) -> dict[str, int]:
    """Hospital → how many of its different keys stand at another hospital too; those above 0."""
    if not keys:
        return {}
    different = {hospital: np.unique(each) for hospital, each in keys.items()}
    every, counts = np.unique(np.concatenate([*different.values()]), return_counts=True)
    shared = every[counts > 1]
    found = {hospital: int(np.isin(each, shared).sum()) for hospital, each in different.items()}
    return {hospital: count for hospital, count in found.items() if count}
