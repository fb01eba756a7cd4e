"""A sample without replacement, larger hospitals more often.

Li et al. 2020 (arXiv:1812.06127), algorithm 2, draws hospitals with probability n_k/n; then the
mean over hospitals alike (`aggregation.weighted_by: hospitals`) does not count sizes twice.
"""

from typing import Annotated

import torch
from pydantic import Field

from federated.plugins import options
from federated.selection import Candidates, share


@options
class Weighted:
    """fraction: the share of the hospitals, rounded up."""

    fraction: Annotated[float, Field(gt=0, le=1)] = 0.5

    def select(self, candidates: Candidates, generator: torch.Generator) -> list[str]:
        """Drawn one after another, each with probability n_k / Σ n of those that are left."""
        names = candidates.hospitals
        rows = torch.tensor([candidates.examples[n] for n in names], dtype=torch.float64)
        count = share(self.fraction, len(names))
        drawn = torch.multinomial(rows, count, replacement=False, generator=generator)
        return [names[i] for i in sorted(drawn.tolist())]
