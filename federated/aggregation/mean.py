"""The mean of updates: Σ n_i u_i / Σ n_i (McMahan et al. 2017, arXiv:1602.05629, algorithm 1)."""

from collections.abc import Sequence
from typing import Literal

from federated.checks import alike
from federated.plugins import options
from federated.types import Update, Weights
from federated.weights import exact_sum


@options
class Mean:
    """weighted_by: `examples` takes n_i = training rows, `hospitals` takes n_i = 1."""

    weighted_by: Literal["examples", "hospitals"] = "examples"

    def aggregate(self, updates: Sequence[Update]) -> Weights:
        """The weighted mean, float64. Raises ValueError without updates."""
        by_examples = self.weighted_by == "examples"
        return exact_sum((u.delta, u.examples if by_examples else 1) for u in alike(updates)).mean()
