"""The mean of updates that are clipped around a centre (Karimireddy et al. 2021, arXiv:2012.10333).

v ← v + (1/n) Σ (u_i - v)·min(1, τ/‖u_i - v‖), equation (CC). A faulty update moves each iteration
by τ/n at most, so τ has to be of the size of the distances between honest updates: the paper's 10
is for gradients of its networks, and clips none of most models' updates. By default τ is the
median of this round's distances from the start, which is no more than an honest one's while n >
2f. The paper's theorem is for f ≤ n/10, and that is what the rule claims. The paper starts at the
last round's result and has every worker average its gradients over rounds (momentum); a rule here
has no memory, so it starts at the coordinate median or at zero. Hospitals count alike.
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
    """f: faulty hospitals, n ≥ 10f; it only checks n. null: as many as n allows.

    tau: τ, the clipping radius; null takes the median distance of the updates from the start.
    iterations: times the equation is applied. start: `median`, or `zero`, from where the result is
    no longer than iterations·τ.
    """

    f: Faulty = None
    tau: Annotated[float, Field(gt=0)] | None = None
    iterations: Annotated[int, Field(ge=1)] = 1
    start: Literal["median", "zero"] = "median"
    robust: ClassVar[bool] = True

    def tolerates(self, n: int) -> int:
        """The f used for n updates. Raises ConfigError if n is too few."""
        return tolerated("aggregation.centered_clipping", n, self.f, times=10, plus=0)

    def aggregate(self, updates: Sequence[Update]) -> Weights:
        """The last v. Raises ValueError without updates."""
        all_ = stack(updates)
        self.tolerates(len(all_.rows))
        centre: Array = np.median(all_.rows, axis=0)
        if self.start == "zero":
            centre = np.zeros_like(centre)
        tau = float(np.median(norms(all_.rows - centre))) if self.tau is None else self.tau
        for _ in range(self.iterations):
            differences = all_.rows - centre
            lengths = norms(differences)
            factors = np.divide(tau, lengths, out=np.ones_like(lengths), where=lengths > tau)
            centre = centre + (factors[:, None] * differences).mean(axis=0)
        return all_.weights(centre)
