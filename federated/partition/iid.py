"""Rows dealt out at random, equally many to each hospital (± 1)."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from federated.partition._rows import Assignment, Rows, named, require
from federated.plugins import options


@options
class Iid:
    """hospitals: how many."""

    hospitals: Annotated[int, Field(ge=1)] = 3

    def assign(
        self, labels: Rows, hospitals: NDArray[np.str_] | None, generator: np.random.Generator
    ) -> Assignment:
        """Shuffle, then cut into equal pieces."""
        require(len(labels), self.hospitals, 1)
        return named(np.array_split(generator.permutation(len(labels)), self.hospitals))
