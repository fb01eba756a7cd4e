"""The tutorial's rule, the plain sum of updates: w ← w + Σ u_i.

With m hospitals this is m times the mean: the step size grows with the number of hospitals.
"""

from collections.abc import Sequence

from federated.checks import alike
from federated.plugins import options
from federated.types import Update, Weights
from federated.weights import exact_sum


@options
class Sum:
    """No options."""

    def aggregate(self, updates: Sequence[Update]) -> Weights:
        """Σ u_i, float64. Raises ValueError without updates."""
        return exact_sum((u.delta, 1) for u in alike(updates)).value()
