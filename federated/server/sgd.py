"""Plain server step: w ← w + η_s·Δ (Reddi et al. 2021, arXiv:2003.00295, algorithm 1)."""

from typing import Annotated

from pydantic import Field

from federated.plugins import options
from federated.server import Server
from federated.types import Aggregate, Weights
from federated.weights import add


@options
class Sgd(Server):
    """lr: the server's step size η_s; 1 adds the aggregate as it is."""

    lr: Annotated[float, Field(gt=0)] = 1.0

    def init(self, weights: Weights) -> Weights:
        """No state."""
        return {}

    def apply(
        self, weights: Weights, aggregate: Aggregate, state: Weights
    ) -> tuple[Weights, Weights]:
        """New weights (dtypes kept) and the unchanged state."""
        return add(weights, aggregate.step, self.lr), state
