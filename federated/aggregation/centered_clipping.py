"""The mean of updates that are clipped around a centre (Karimireddy et al. 2021, arXiv:2012.10333).

v ← v + (1/n) Σ (u_i - v)·min(1, τ/‖u_i - v‖), equation (CC). A faulty update moves each iteration
by τ/n at most. The paper's theorem needs f ≤ n/10 and a τ that fits; n > 2f is only the least
that any rule needs. The paper starts at the last round's result; a rule here has no memory, so
it starts at zero or at the coordinate median. Hospitals count alike.
"""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from federated.aggregation._stack import Array, norms, stack
from federated.faulty import Faulty, tolerated
from federated.plugins import options
from federated.types import Update, Weights


@options
class CenteredClipping:
    """f: faulty hospitals, n > 2f; it only checks n. null: as many as n allows.

    tau: τ, the clipping radius. iterations: times the equation is applied. start: `median`, or
    `zero`, from where the result is no longer than iterations·τ.
    """

    f: Faulty = None
    tau: Annotated[float, Field(gt=0)] = 10.0
    iterations: Annotated[int, Field(ge=1)] = 1
    start: Literal["median", "zero"] = "median"
    robust: ClassVar[bool] = True

    def tolerates(self, n: int) -> int:
        """The f used for n updates. Raises ConfigError if n is too few."""
        return tolerated("aggregation.centered_clipping", n, self.f, times=2, plus=1)

    def aggregate(self, updates: Sequence[Update]) -> Weights:
        """The last v. Raises ValueError without updates."""
        all_ = stack(updates)
        self.tolerates(len(all_.rows))
        centre: Array = np.median(all_.rows, axis=0)
        if self.start == "zero":
            centre = np.zeros_like(centre)
        for _ in range(self.iterations):
            differences = all_.rows - centre
            factors = self.tau / np.maximum(norms(differences), self.tau)
            centre = centre + (factors[:, None] * differences).mean(axis=0)
        return all_.weights(centre)
