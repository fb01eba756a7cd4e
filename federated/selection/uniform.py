"""A uniform sample without replacement, drawn anew each round.

McMahan et al. 2017 (arXiv:1602.05629), algorithm 1: S_t is a random set of max(C·K, 1) clients.
"""

import math
from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field

from federated.plugins import options


@options
class Uniform:
    """fraction: the share C of the hospitals, rounded up."""

    fraction: Annotated[float, Field(gt=0, le=1)] = 1.0

    def select(self, hospitals: Sequence[str], generator: torch.Generator) -> list[str]:
        """ceil(C·K) of the K hospitals."""
        count = math.ceil(self.fraction * len(hospitals) - 1e-9)
        chosen = torch.randperm(len(hospitals), generator=generator)[:count].sort().values
        return [hospitals[int(i)] for i in chosen]
