"""The tutorial's rule, the plain sum of updates: w ← w + Σ u_i.

With m hospitals this is m times the mean: the step size grows with the number of hospitals.
"""

from collections.abc import Sequence

from federated.checks import alike
from federated.plugins import options
from federated.types import Receipt, Update, Weights
from federated.weights import ExactSum, exact_sum


@options
class Sum:
    """No options."""

    def coefficient(self, receipt: Receipt) -> int:
        """1: every hospital as it is."""
        return 1

    def of(self, total: ExactSum) -> Weights:
        """Σ u_i, float64."""
        return total.value()

    def aggregate(self, updates: Sequence[Update]) -> Weights:
        """Σ u_i, float64. Raises ValueError without updates."""
        return self.of(exact_sum((u.delta, self.coefficient(u.receipt)) for u in alike(updates)))
