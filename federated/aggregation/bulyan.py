"""Krum again and again, then a mean around the median (El Mhamdi et al. 2018, arXiv:1802.07927).

Krum chooses one update, which is set aside, until θ = n - 2f are chosen; of each
number the β = θ - 2f chosen values nearest to their median are averaged. So a faulty update
that Krum chose cannot hide one large number among many good ones. Hospitals count alike.
"""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from federated.aggregation._krum import scores
from federated.aggregation._stack import Array, squared_distances, stack
from federated.faulty import Faulty, tolerated
from federated.plugins import options
from federated.types import Update, Weights


@options
class Bulyan:
    """f: faulty hospitals to withstand, n ≥ 4f + 3; null: as many as n allows."""

    f: Faulty = None
    robust: ClassVar[bool] = True

    def tolerates(self, n: int) -> int:
        """The f used for n updates. Raises ConfigError if n is too few."""
        return tolerated("aggregation.bulyan", n, self.f, times=4, plus=3)

    def aggregate(self, updates: Sequence[Update]) -> Weights:
        """Of equal scores the first hospital by name, of equally near values the smaller.

        Raises ValueError without updates.
        """
        all_ = stack(updates)
        n = len(all_.rows)
        f = self.tolerates(n)
        chosen = all_.rows[select(squared_distances(all_.rows), f, n - 2 * f)]
        return all_.weights(mean_around_median(chosen, n - 4 * f))


def select(squared: Array, f: int, count: int) -> list[int]:
    """`count` rows chosen by Krum one after another, sorted. squared: distances [n, n]."""
    left, chosen = list(range(len(squared))), []
    for _ in range(count):
        best = int(scores(squared[np.ix_(left, left)], f).argmin())
        chosen.append(left.pop(best))
    return sorted(chosen)


def mean_around_median(rows: Array, count: int) -> Array:
    """Of each column of rows [θ, d] the mean of the `count` values nearest to its median."""
    values = np.sort(rows, axis=0)
    order = np.abs(values - np.median(values, axis=0)).argsort(axis=0, kind="stable")
    mean: Array = np.take_along_axis(values, order[:count], axis=0).mean(axis=0)
    return mean
