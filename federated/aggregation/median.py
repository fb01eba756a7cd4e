"""The middle of the updates, number by number (Yin et al. 2018, arXiv:1803.01498, definition 1).

Each number lies between two honest hospitals' as long as n > 2f. Hospitals count alike.
"""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from federated.aggregation._stack import stack
from federated.faulty import Faulty, tolerated
from federated.plugins import options
from federated.types import Update, Weights


@options
class Median:
    """f: faulty hospitals to withstand, n > 2f; it only checks n. null: as many as n allows."""

    f: Faulty = None
    robust: ClassVar[bool] = True

    def tolerates(self, n: int) -> int:
        """The f used for n updates. Raises ConfigError if n is too few."""
        return tolerated("aggregation.median", n, self.f, times=2, plus=1)

    def aggregate(self, updates: Sequence[Update]) -> Weights:
        """Of an even number of updates the mean of the middle two. Raises ValueError for none."""
        all_ = stack(updates)
        self.tolerates(len(all_.rows))
        return all_.weights(np.median(all_.rows, axis=0))
