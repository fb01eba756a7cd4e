"""A uniform sample without replacement, drawn anew each round.

McMahan et al. 2017 (arXiv:1602.05629), algorithm 1: S_t is a random set of max(C·K, 1) clients.
"""

from typing import Annotated

import torch
from pydantic import Field

from federated.plugins import options
from federated.selection import Candidates, share


@options
class Uniform:
    """fraction: the share C of the hospitals, rounded up."""

    fraction: Annotated[float, Field(gt=0, le=1)] = 1.0

    def select(self, candidates: Candidates, generator: torch.Generator) -> list[str]:
        """ceil(C·K) of the K hospitals."""
        names = candidates.hospitals
        count = share(self.fraction, len(names))
        chosen = torch.randperm(len(names), generator=generator)[:count].sort().values
        return [names[int(i)] for i in chosen]
