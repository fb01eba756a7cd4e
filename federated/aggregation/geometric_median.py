"""The point with the smallest sum of distances to all updates: argmin_v Σ ‖v - u_i‖.

Smoothed Weiszfeld algorithm of Pillutla et al. 2022 (arXiv:1912.13445, RFA) with equal
weights: hospitals count alike. It starts at the coordinate median, not at the mean: from
a mean that one faulty update has carried off it would take many iterations to come back.
"""

from collections.abc import Sequence
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from federated.aggregation._stack import Array, norms, stack
from federated.faulty import Faulty, tolerated
from federated.plugins import options
from federated.types import Update, Weights


@options
class GeometricMedian:
    """f: faulty hospitals to withstand, n > 2f; it only checks n. null: as many as n allows.

    nu: ν, the least distance divided by. iterations: at most so many. tolerance: it ends when a
    step is no longer than this part of the median distance between result and updates.
    """

    f: Faulty = None
    nu: Annotated[float, Field(gt=0)] = 1e-6
    iterations: Annotated[int, Field(ge=1)] = 100
    tolerance: Annotated[float, Field(ge=0)] = 1e-9
    robust: ClassVar[bool] = True

    def tolerates(self, n: int) -> int:
        """The f used for n updates. Raises ConfigError if n is too few."""
        return tolerated("aggregation.geometric_median", n, self.f, times=2, plus=1)

    def aggregate(self, updates: Sequence[Update]) -> Weights:
        """The smoothed geometric median. Raises ValueError without updates."""
        all_ = stack(updates)
        self.tolerates(len(all_.rows))
        centre: Array = np.median(all_.rows, axis=0)
        for _ in range(self.iterations):
            away = norms(all_.rows - centre)
            step = self._step(all_.rows - centre, away)
            centre = centre + step
            if float(norms(step[None])[0]) <= self.tolerance * float(np.median(away)):
                break
        return all_.weights(centre)

    def _step(self, differences: Array, away: Array) -> Array:
        """Σ β_i (u_i - v) / Σ β_i with β_i = 1 / max(ν, ‖u_i - v‖)."""
        weights = 1 / np.maximum(self.nu, away)
        step: Array = (weights[:, None] * differences).sum(axis=0) / weights.sum()
        return step
