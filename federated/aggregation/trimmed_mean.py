"""The mean without the f smallest and f largest, number by number.

Yin et al. 2018 (arXiv:1803.01498), definition 2, with β = f/n. Hospitals count alike.
"""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from federated.aggregation._stack import stack
from federated.faulty import Faulty, tolerated
from federated.plugins import options
from federated.types import Update, Weights


@options
class TrimmedMean:
    """f: cut from each end, n > 2f; null: as many as n allows, which leaves the median."""

    f: Faulty = None
    robust: ClassVar[bool] = True

    def tolerates(self, n: int) -> int:
        """The f used for n updates. Raises ConfigError if n is too few."""
        return tolerated("aggregation.trimmed_mean", n, self.f, times=2, plus=1)

    def aggregate(self, updates: Sequence[Update]) -> Weights:
        """The mean of the n - 2f middle values. Raises ValueError without updates."""
        all_ = stack(updates)
        n = len(all_.rows)
        f = self.tolerates(n)
        return all_.weights(np.sort(all_.rows, axis=0)[f : n - f].mean(axis=0))
