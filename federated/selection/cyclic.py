"""One hospital a round, each in its turn: the weights go from hospital to hospital.

Cyclical weight transfer: Chang et al. 2018 (doi 10.1093/jamia/ocy017). With one update a round,
the mean of updates is that update.
"""

import torch

from federated.plugins import options
from federated.seeds import generator as seeded
from federated.selection import Candidates


@options
class Cyclic:
    """reshuffle: draw a new order for every cycle; else the first one is kept."""

    reshuffle: bool = False

    def select(self, candidates: Candidates, generator: torch.Generator) -> list[str]:
        """The hospital whose turn it is, in an order drawn from the run's seed."""
        names = candidates.hospitals
        cycle, turn = divmod(candidates.round - 1, len(names))
        drawn = seeded("cycle", candidates.seed, cycle if self.reshuffle else 0)
        return [names[int(torch.randperm(len(names), generator=drawn)[turn])]]
