"""Label skew: each class is shared out by proportions drawn from Dirichlet(α, …, α).

Hsu, Qi, Brown 2019 (arXiv:1909.06335) and Li et al. 2022 (arXiv:2102.02079). Those draw again
until every hospital is large enough, which may take for ever; here rows move once from the
largest hospitals to those that are too small.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from federated.partition._rows import Assignment, Rows, apportion, cut, named, require
from federated.plugins import options


@options
class Dirichlet:
    """hospitals: how many. alpha: α, small is skewed, large is even. min_rows: no hospital gets
    fewer (set it to data.min_rows or above)."""

    hospitals: Annotated[int, Field(ge=1)] = 3
    alpha: Annotated[float, Field(ge=1e-6, le=1e6)] = 0.5
    min_rows: Annotated[int, Field(ge=1)] = 10

    def assign(
        self, labels: Rows, hospitals: NDArray[np.str_] | None, generator: np.random.Generator
    ) -> Assignment:
        """Share out class by class, then repair sizes."""
        require(len(labels), self.hospitals, self.min_rows)
        parts: list[list[Rows]] = []
        for label in np.unique(labels):
            rows = generator.permutation(np.flatnonzero(labels == label))
            shares = generator.dirichlet(np.full(self.hospitals, self.alpha))
            parts.append(cut(rows, apportion(len(rows), shares)))
        drawn = [generator.permutation(np.concatenate(own)) for own in zip(*parts, strict=True)]
        return named(_repair(drawn, self.min_rows))


def _repair(groups: list[Rows], least: int) -> list[Rows]:
    """Move rows, last ones first, from the largest group until none has fewer than `least`.

    Every step fills one group or empties a donor down to `least`: at most twice as many steps
    as groups. The rows must suffice for all.
    """
    groups = list(groups)
    sizes = np.array([len(rows) for rows in groups])
    for i in range(len(groups)):
        while sizes[i] < least:
            donor = int(sizes.argmax())
            moved = min(least - sizes[i], sizes[donor] - least)
            groups[i] = np.concatenate([groups[i], groups[donor][-moved:]])
            groups[donor] = groups[donor][:-moved]
            sizes[i] += moved
            sizes[donor] -= moved
    return groups
