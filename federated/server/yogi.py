"""FedYogi: v ← v - (1 - β₂)Δ²·sign(v - Δ²), w ← w + η·m/(√v + τ).

Reddi et al. 2021 (arXiv:2003.00295), algorithm 2. Where v is far above Δ², it falls by the size
of Δ², not of v: large updates are forgotten more slowly than by Adam.
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from federated.plugins import options
from federated.server import Server
from federated.server._adaptive import adaptive, initial
from federated.types import Aggregate, Weights


@options
class Yogi(Server):
    """lr: η. beta1, beta2: β₁ of m and β₂ of v. tau: τ; v begins at τ².

    bias_correction: v begins at 0, m is divided by 1 - β₁ᵗ and v by 1 - β₂ᵗ (Kingma & Ba 2015).
    """

    lr: Annotated[float, Field(gt=0)] = 0.1
    beta1: Annotated[float, Field(ge=0, lt=1)] = 0.9
    beta2: Annotated[float, Field(ge=0, lt=1)] = 0.99
    tau: Annotated[float, Field(gt=0)] = 1e-3
    bias_correction: bool = False

    def init(self, weights: Weights) -> Weights:
        """m = 0, v = τ² (0 with bias_correction), t = 0."""
        return initial(weights, 0.0 if self.bias_correction else self.tau**2)

    def apply(
        self, weights: Weights, aggregate: Aggregate, state: Weights
    ) -> tuple[Weights, Weights]:
        """New weights (dtypes kept) and new m, v, t."""
        correct = (self.beta1, self.beta2) if self.bias_correction else (0.0, 0.0)
        return adaptive(
            weights, aggregate, state, self._second, self.lr, self.tau, self.beta1, correct
        )

    def _second(self, v: Tensor, squared: Tensor) -> Tensor:
        """The new v. squared: Δ²."""
        return v - (1 - self.beta2) * squared * torch.sign(v - squared)
