"""Every hospital takes part in every round."""

import torch

from federated.plugins import options
from federated.selection import Candidates


@options
class All:
    """No options."""

    def select(self, candidates: Candidates, generator: torch.Generator) -> list[str]:
        """All of them."""
        return list(candidates.hospitals)
