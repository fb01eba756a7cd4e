"""FedAvgM: v ← βv + Δ, w ← w + η_s·v (Hsu et al. 2019, arXiv:1909.06335)."""

from typing import Annotated

from pydantic import Field

from federated.plugins import options
from federated.server import Server
from federated.server._adaptive import moments
from federated.types import Aggregate, Weights
from federated.weights import add


@options
class Momentum(Server):
    """lr: η_s. beta: β; 0 forgets, and is plain SGD."""

    lr: Annotated[float, Field(gt=0)] = 1.0
    beta: Annotated[float, Field(ge=0, lt=1)] = 0.9

    def init(self, weights: Weights) -> Weights:
        """`v.<name>` = 0, float64."""
        return moments(weights, "v", 0.0)

    def apply(
        self, weights: Weights, aggregate: Aggregate, state: Weights
    ) -> tuple[Weights, Weights]:
        """New weights (dtypes kept) and new v."""
        new = {name: self.beta * state[f"v.{name}"] + d for name, d in aggregate.step.items()}
        return add(weights, new, self.lr), state | {f"v.{name}": v for name, v in new.items()}
