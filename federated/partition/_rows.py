"""What the partitions share: names of made-up hospitals, and sizes that can be had."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from federated.errors import DataError

Rows = NDArray[np.int64]
Assignment = dict[str, Rows]


def named(groups: list[Rows]) -> Assignment:
    """hospital-1 … hospital-m, padded with zeros to one width; rows sorted."""
    width = len(str(len(groups)))
    return {f"hospital-{i:0{width}d}": np.sort(rows) for i, rows in enumerate(groups, start=1)}


def require(rows: int, hospitals: int, least: int) -> None:
    """Raise DataError unless every hospital can have `least` rows."""
    if rows < hospitals * least:
        raise DataError(
            f"{rows} rows cannot give {hospitals} hospitals {least} rows each (patients, where the "
            "data name them); lower data.partition.hospitals or its min_rows, or bring more rows"
        )


def apportion(total: int, weights: NDArray[np.float64]) -> Rows:
    """Whole numbers that add up to `total`, in proportion to weights ≥ 0 (largest remainders)."""
    exact = total * (weights / weights.sum())
    sizes: Rows = np.floor(exact).astype(np.int64)
    order = np.argsort(-(exact - sizes), kind="stable")
    sizes[order[: total - int(sizes.sum())]] += 1
    return sizes


def cut(rows: Rows, sizes: Rows) -> list[Rows]:
    """Consecutive pieces of the given sizes."""
    return np.split(rows, np.cumsum(sizes)[:-1])
