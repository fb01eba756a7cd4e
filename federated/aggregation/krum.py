"""The one update that is nearest to its neighbours (Blanchard et al. 2017, NeurIPS, section 4).

One hospital's update moves the model, the others only vouch for it. Hospitals count alike.
"""

from collections.abc import Sequence
from typing import ClassVar

from federated.aggregation._krum import scores
from federated.aggregation._stack import squared_distances, stack
from federated.faulty import Faulty, tolerated
from federated.plugins import options
from federated.types import Update, Weights


@options
class Krum:
    """f: faulty hospitals to withstand, n ≥ 2f + 3; null: as many as n allows."""

    f: Faulty = None
    robust: ClassVar[bool] = True

    def tolerates(self, n: int) -> int:
        """The f used for n updates. Raises ConfigError if n is too few."""
        return tolerated("aggregation.krum", n, self.f, times=2, plus=3)

    def aggregate(self, updates: Sequence[Update]) -> Weights:
        """The update of the smallest score; of equals the first hospital by name.

        Raises ValueError without updates.
        """
        all_ = stack(updates)
        f = self.tolerates(len(all_.rows))
        chosen = int(scores(squared_distances(all_.rows), f).argmin())
        return all_.weights(all_.rows[chosen])
