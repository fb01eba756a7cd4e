"""Mini-batch SGD: E epochs (FedAvg) or H steps (Local SGD).

FedAvg: McMahan et al. 2017 (arXiv:1602.05629), algorithm 1, ClientUpdate.
Local SGD: Stich 2019 (arXiv:1805.09767), algorithm 1.
"""

from collections.abc import Iterator
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from federated.local import LocalResult
from federated.objectives import Objective
from federated.plugins import options
from federated.types import Split, Weights
from federated.weights import subtract


@options
class Sgd:
    """lr: step size η. epochs: E. steps: H, replaces epochs when set. batch_size: None = all."""

    lr: Annotated[float, Field(gt=0)] = 0.01
    epochs: Annotated[int, Field(ge=1)] = 1
    steps: Annotated[int, Field(ge=1)] | None = None
    batch_size: Annotated[int, Field(ge=1)] | None = 32

    def step_count(self, rows: int) -> int:
        """Gradient steps in one round at a hospital with so many training rows."""
        return self.steps or self.epochs * -(-rows // (self.batch_size or rows))

    def train(
        self,
        network: nn.Module,
        weights: Weights,
        rows: Split,
        objective: Objective,
        steps: int,
        generator: torch.Generator,
    ) -> LocalResult:
        """θ ← θ - η ∇L(θ; batch), `steps` times from θ = w; u = θ - w."""
        network.load_state_dict(weights)
        network.train()
        optimiser = torch.optim.SGD(network.parameters(), lr=self.lr)
        total = torch.zeros((), dtype=torch.float64)
        for batch in batches(len(rows), self.batch_size or len(rows), steps, generator):
            optimiser.zero_grad()
            value = objective.loss(network(rows.features[batch]), rows.targets[batch])
            value.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            total += value.detach()
        trained = {name: t.detach().clone() for name, t in network.state_dict().items()}
        return LocalResult(subtract(trained, weights), steps, float(total) / steps)


def batches(rows: int, size: int, count: int, generator: torch.Generator) -> Iterator[Tensor]:
    """`count` batches of row indices: every epoch visits each row once, in a fresh order."""
    while True:
        for batch in torch.split(torch.randperm(rows, generator=generator), size):
            if count == 0:
                return
            count -= 1
            yield batch
