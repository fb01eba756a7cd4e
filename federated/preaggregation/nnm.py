"""Nearest-neighbour mixing: each update becomes the mean of its n - f nearest, itself among them.

Allouah et al. 2023 (arXiv:2302.01772), NNM. It makes honest updates of unlike hospitals
alike before a robust rule chooses among them. Hospitals count alike.
"""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from federated.aggregation._stack import squared_distances, stack
from federated.faulty import Faulty, tolerated
from federated.plugins import options
from federated.preaggregation._prepared import prepared
from federated.types import Update


@options
class Nnm:
    """f: faulty hospitals to withstand, n > 2f; null: as many as n allows."""

    f: Faulty = None
    robust: ClassVar[bool] = True

    def tolerates(self, n: int) -> int:
        """The f used for n updates. Raises ConfigError if n is too few."""
        return tolerated("preaggregation.nnm", n, self.f, times=2, plus=1)

    def prepare(self, updates: Sequence[Update]) -> list[Update]:
        """The mixed updates; of equally near ones the first hospitals by name."""
        all_ = stack(updates)
        n = len(all_.rows)
        nearest = squared_distances(all_.rows).argsort(axis=1, kind="stable")
        nearest = np.sort(nearest[:, : n - self.tolerates(n)], axis=1)
        mixed = np.stack([all_.rows[chosen].mean(axis=0) for chosen in nearest])
        return prepared(updates, all_, mixed)
