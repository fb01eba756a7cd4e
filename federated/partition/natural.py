"""The hospitals that the data themselves name."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from federated.errors import DataError
from federated.partition._rows import Assignment, Rows
from federated.plugins import options


@options
class Natural:
    """No options."""

    def assign(
        self, labels: Rows, hospitals: NDArray[np.str_] | None, generator: np.random.Generator
    ) -> Assignment:
        """One group a named hospital, by name. Raises DataError if the data name none."""
        if hospitals is None:
            raise no_hospitals()
        names, owner = np.unique(hospitals, return_inverse=True)
        order = np.argsort(owner, kind="stable")
        pieces = np.split(order, np.cumsum(np.bincount(owner))[:-1])
        return {str(name): rows for name, rows in zip(names, pieces, strict=True)}


def no_hospitals() -> DataError:
    """The error for data that name no hospitals."""
    return DataError(
        "data.partition.name: natural needs data that name a hospital for each row, and these do "
        "not; choose iid, dirichlet, shards or quantity (for a table: give data.source.hospital)"
    )
