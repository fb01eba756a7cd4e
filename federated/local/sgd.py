"""Mini-batch SGD: E epochs (FedAvg) or H steps (Local SGD).

FedAvg: McMahan et al. 2017 (arXiv:1602.05629), algorithm 1, ClientUpdate.
Local SGD: Stich 2019 (arXiv:1805.09767), algorithm 1.
"""

from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import nn

from federated.local import LocalResult, LocalTask
from federated.local._descent import (
    Correction,
    Parameters,
    Plain,
    Stepper,
    descend,
    load,
    measured,
    moved,
    steps_of,
)
from federated.local._displacement import displacement
from federated.plugins import options

Positive = Annotated[float, Field(gt=0)]


@options
class Sgd:
    """lr: step size η. epochs: E. steps: H, replaces epochs when set. batch_size: None = all.

    momentum ρ (Nesterov's if nesterov) begins at rest in every round. weight_decay: λ, adds λθ to
    the gradient. clip: bound on the norm of each batch's gradient. class_weights: `balanced` lets
    every class of the hospital weigh alike.
    """

    lr: Positive = 0.01
    epochs: Annotated[int, Field(ge=1)] = 1
    steps: Annotated[int, Field(ge=1)] | None = None
    batch_size: Annotated[int, Field(ge=1)] | None = 32
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0
    nesterov: bool = False
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    clip: Positive | None = None
    class_weights: Literal["balanced"] | None = None
    gives: ClassVar[frozenset[str]] = frozenset({"normaliser"})

    def step_count(self, rows: int) -> int:
        """Gradient steps in one round at a hospital with so many training rows."""
        return steps_of(rows, self.epochs, self.steps, self.batch_size)

    def train(self, task: LocalTask) -> LocalResult:
        """θ ← θ - η ∇L(θ; batch), `task.steps` times from θ = w; u = θ - w."""
        loss = self.descend(task, load(task))
        return LocalResult(
            delta=moved(task),
            steps=task.steps,
            loss=loss,
            scalars={"normaliser": self.normaliser(task)},
            buffers=measured(task),
        )

    def descend(
        self,
        task: LocalTask,
        parameters: Parameters,
        correct: Correction | None = None,
        steps: int | None = None,
    ) -> float:
        """`steps` (task.steps unless given) steps over `parameters`; the mean loss."""
        optimiser = self._optimiser([p for _, p in parameters], self.lr * task.rate)
        taken = task.steps if steps is None else steps
        balanced = self.class_weights is not None
        return descend(
            task, optimiser, parameters, self.batch_size, taken, self.clip, balanced, correct
        )

    def _optimiser(self, parameters: list[nn.Parameter], lr: float) -> Stepper:
        if not self.momentum and not self.weight_decay:
            return Plain(parameters, lr)
        return torch.optim.SGD(
            parameters,
            lr=lr,
            momentum=self.momentum,
            nesterov=self.nesterov and self.momentum > 0,
            weight_decay=self.weight_decay,
        )

    def normaliser(self, task: LocalTask) -> float:
        """‖a_i‖₁ of FedNova: what `task.steps` unit gradients would add up to."""
        return displacement(task.steps, self.lr * task.rate, self.momentum, self.nesterov)
