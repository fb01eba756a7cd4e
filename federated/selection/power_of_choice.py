"""Of a few hospitals drawn by size, those on which the global model does worst.

Power-of-choice: Cho, Wang, Joshi 2020 (arXiv:2010.01243), section 3, strategy π_pow-d. Candidates
are drawn by size, so their updates are averaged alike, as in the paper and in the preset: weighted
by examples (`aggregation.weighted_by`), sizes would count twice.
"""

from typing import Annotated

import torch
from pydantic import Field

from federated.plugins import options
from federated.selection import Candidates, share
from federated.selection.weighted import Weighted


@options
class PowerOfChoice:
    """fraction: the cohort's share of the hospitals, rounded up.

    candidates: the share that is drawn first and asked for its loss, at least the cohort.
    """

    fraction: Annotated[float, Field(gt=0, le=1)] = 0.5
    candidates: Annotated[float, Field(gt=0, le=1)] = 1.0

    def select(self, candidates: Candidates, generator: torch.Generator) -> list[str]:
        """The largest losses; of equal ones the first hospital."""
        drawn = Weighted(max(self.candidates, self.fraction)).select(candidates, generator)
        count = share(self.fraction, len(candidates.hospitals))
        losses = {name: candidates.loss(name) for name in drawn}
        worst = sorted(drawn, key=lambda name: -losses[name])[:count]
        return [name for name in candidates.hospitals if name in worst]
