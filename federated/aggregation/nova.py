"""FedNova: updates normalised by local work, so that more steps do not mean more say.

Wang et al. 2020 (arXiv:2007.07481): Δ = τ_eff · Σ p_i u_i / ‖a_i‖₁. The local rule sends ‖a_i‖₁,
for plain SGD the number of its steps. The paper leaves τ_eff free; here it is Σ p_i ‖a_i‖₁, so
that Δ is FedAvg's where all hospitals work alike. (The authors' code takes Σ p_i τ_i with a
proximal term, which makes up for the steps that the term has shortened.)
"""

import math
from collections.abc import Sequence
from typing import ClassVar, Literal

from federated.aggregation._scalars import scalar
from federated.checks import alike
from federated.errors import UpdateError
from federated.plugins import options
from federated.types import Update, Weights
from federated.weights import exact_sum

_NORMALISER = "normaliser"


@options
class Nova:
    """weighted_by: p_i by training rows (`examples`) or all equal (`hospitals`)."""

    weighted_by: Literal["examples", "hospitals"] = "examples"
    needs: ClassVar[frozenset[str]] = frozenset({_NORMALISER})

    def aggregate(self, updates: Sequence[Update]) -> Weights:
        """Δ, float64; exact sums, so no order matters.

        Raises ValueError without updates or normaliser, UpdateError for one that is not above 0.
        """
        ordered = alike(updates)
        work = [normaliser(u) for u in ordered]
        counts = [u.examples if self.weighted_by == "examples" else 1 for u in ordered]
        effective = math.fsum(n * a for n, a in zip(counts, work, strict=True)) / sum(counts)
        normalised = [
            {name: t.double() / a for name, t in u.delta.items()}
            for u, a in zip(ordered, work, strict=True)
        ]
        mean = exact_sum(zip(normalised, counts, strict=True)).mean()
        return {name: effective * t for name, t in mean.items()}


def normaliser(update: Update) -> float:
    """‖a_i‖₁ > 0 of a hospital."""
    value = scalar(update, _NORMALISER)
    if value == 0:
        raise UpdateError(update.hospital, update.round, f"its {_NORMALISER!r} is 0")
    return value
