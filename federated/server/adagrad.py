"""FedAdagrad: v ← v + Δ², w ← w + η·m/(√v + τ).

Reddi et al. 2021 (arXiv:2003.00295), algorithm 2.
"""

from typing import Annotated

from pydantic import Field

from federated.plugins import options
from federated.server import Server
from federated.server._adaptive import adaptive, initial
from federated.types import Aggregate, Weights


@options
class Adagrad(Server):
    """lr: η. beta1: β₁ of m; the paper's experiments take none. tau: τ; v begins at τ².

    bias_correction: divide m by 1 - β₁ᵗ (Kingma & Ba 2015); v is a sum and has no bias.
    """

    lr: Annotated[float, Field(gt=0)] = 0.1
    beta1: Annotated[float, Field(ge=0, lt=1)] = 0.0
    tau: Annotated[float, Field(gt=0)] = 1e-3
    bias_correction: bool = False

    def init(self, weights: Weights) -> Weights:
        """m = 0, v = τ², t = 0."""
        return initial(weights, self.tau**2)

    def apply(
        self, weights: Weights, aggregate: Aggregate, state: Weights
    ) -> tuple[Weights, Weights]:
        """New weights (dtypes kept) and new m, v, t."""
        correct = (self.beta1 if self.bias_correction else 0.0, 0.0)
        return adaptive(
            weights, aggregate, state, lambda v, d: v + d, self.lr, self.tau, self.beta1, correct
        )
