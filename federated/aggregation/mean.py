"""The mean of updates: Σ n_i u_i / Σ n_i (McMahan et al. 2017, arXiv:1602.05629, algorithm 1)."""

from collections.abc import Sequence
from typing import Literal

from federated.checks import alike
from federated.plugins import options
from federated.types import Receipt, Update, Weights
from federated.weights import ExactSum, exact_sum


@options
class Mean:
    """weighted_by: `examples` takes n_i = training rows, `hospitals` takes n_i = 1."""

    weighted_by: Literal["examples", "hospitals"] = "examples"

    def coefficient(self, receipt: Receipt) -> int:
        """n_i."""
        return receipt.examples if self.weighted_by == "examples" else 1

    def of(self, total: ExactSum) -> Weights:
        """The mean, float64, of Σ n_i u_i."""
        return total.mean()

    def aggregate(self, updates: Sequence[Update]) -> Weights:
        """The weighted mean, float64. Raises ValueError without updates."""
        return self.of(exact_sum((u.delta, self.coefficient(u.receipt)) for u in alike(updates)))
