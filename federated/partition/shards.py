"""McMahan et al. 2017 (arXiv:1602.05629), section 3: each hospital sees only a few classes.

Rows are sorted by class and cut into hospitals × classes equal shards; each hospital gets
`classes` of them at random. A shard across a border holds two classes, so it may be a few more.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from federated.partition._rows import Assignment, Rows, named, require
from federated.plugins import options


@options
class Shards:
    """hospitals: how many. classes: shards, about one class each, that a hospital gets."""

    hospitals: Annotated[int, Field(ge=1)] = 3
    classes: Annotated[int, Field(ge=1)] = 2

    def assign(
        self, labels: Rows, hospitals: NDArray[np.str_] | None, generator: np.random.Generator
    ) -> Assignment:
        """Sort by class (rows of a class in random order), cut, and deal out the shards."""
        require(len(labels), self.hospitals, self.classes)
        shuffled = generator.permutation(len(labels))
        by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
        shards = np.array_split(by_class, self.hospitals * self.classes)
        dealt = generator.permutation(len(shards)).reshape(self.hospitals, self.classes)
        return named([np.concatenate([shards[i] for i in hand]) for hand in dealt])
