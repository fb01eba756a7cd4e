"""The mean of the m updates that Krum likes best (Blanchard et al. 2017, NeurIPS, section 4).

Hospitals count alike.
"""

from collections.abc import Sequence
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from federated.aggregation._krum import scores
from federated.aggregation._stack import squared_distances, stack
from federated.errors import ConfigError
from federated.faulty import Faulty, tolerated
from federated.plugins import options
from federated.types import Update, Weights


@options
class MultiKrum:
    """f: as Krum's, n ≥ 2f + 3. m: updates averaged, at most n - f; null takes n - f."""

    f: Faulty = None
    m: Annotated[int, Field(ge=1)] | None = None
    robust: ClassVar[bool] = True

    def tolerates(self, n: int) -> int:
        """The f used for n updates. Raises ConfigError if n is too few for f, or m too large."""
        f = tolerated("aggregation.multi_krum", n, self.f, times=2, plus=3)
        if self.m is not None and self.m > n - f:
            raise ConfigError(
                f"algorithm.aggregation.m: multi_krum with f = {f} of {n} updates can average "
                f"at most {n - f} (got {self.m})"
            )
        return f

    def aggregate(self, updates: Sequence[Update]) -> Weights:
        """The mean of the m smallest scores; of equals the first hospitals by name.

        Raises ValueError without updates.
        """
        all_ = stack(updates)
        f = self.tolerates(len(all_.rows))
        best = scores(squared_distances(all_.rows), f).argsort(kind="stable")
        chosen = np.sort(best[: self.m or len(all_.rows) - f])
        return all_.weights(all_.rows[chosen].mean(axis=0))
