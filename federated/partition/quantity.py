"""Size skew: hospitals of log-normal sizes, rows dealt out at random."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from federated.partition._rows import Assignment, Rows, apportion, cut, named, require
from federated.plugins import options


@options
class Quantity:
    """hospitals: how many. sigma: σ of the logarithm of the sizes, 0 makes them equal.
    min_rows: every hospital gets these first; what remains is shared in proportion."""

    hospitals: Annotated[int, Field(ge=1)] = 3
    sigma: Annotated[float, Field(ge=0, le=10)] = 1.0
    min_rows: Annotated[int, Field(ge=1)] = 10

    def assign(
        self, labels: Rows, hospitals: NDArray[np.str_] | None, generator: np.random.Generator
    ) -> Assignment:
        """Draw sizes, shuffle, cut."""
        require(len(labels), self.hospitals, self.min_rows)
        weights = generator.lognormal(0.0, self.sigma, self.hospitals)
        spare = len(labels) - self.hospitals * self.min_rows
        sizes = self.min_rows + apportion(spare, weights)
        return named(cut(generator.permutation(len(labels)), sizes))
