"""Mini-batch AdamW: Loshchilov, Hutter 2019 (arXiv:1711.05101); Adam with weight_decay 0.

Its moments begin anew in every round: they describe one hospital's gradients near one w, and
are neither sent nor averaged.
"""

from typing import Annotated, Literal

import torch
from pydantic import Field

from federated.local import LocalResult, LocalTask
from federated.local._descent import descend, load, measured, moved, steps_of
from federated.local.sgd import Positive
from federated.plugins import options

Beta = Annotated[float, Field(ge=0, lt=1)]


@options
class Adamw:
    """lr, epochs, steps, batch_size, clip, class_weights: as SGD's.

    beta1, beta2: decay of the moments. eps: added to the root of the second. weight_decay: λ,
    decoupled from the gradient.
    """

    lr: Positive = 0.001
    epochs: Annotated[int, Field(ge=1)] = 1
    steps: Annotated[int, Field(ge=1)] | None = None
    batch_size: Annotated[int, Field(ge=1)] | None = 32
    beta1: Beta = 0.9
    beta2: Beta = 0.999
    eps: Positive = 1e-8
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    clip: Positive | None = None
    class_weights: Literal["balanced"] | None = None

    def step_count(self, rows: int) -> int:
        """Gradient steps in one round at a hospital with so many training rows."""
        return steps_of(rows, self.epochs, self.steps, self.batch_size)

    def train(self, task: LocalTask) -> LocalResult:
        """`task.steps` steps of AdamW from θ = w; u = θ - w."""
        parameters = load(task)
        optimiser = torch.optim.AdamW(
            [p for _, p in parameters],
            lr=self.lr * task.rate,
            betas=(self.beta1, self.beta2),
            eps=self.eps,
            weight_decay=self.weight_decay,
        )
        balanced = self.class_weights is not None
        loss = descend(
            task, optimiser, parameters, self.batch_size, task.steps, self.clip, balanced
        )
        return LocalResult(moved(task), task.steps, loss, buffers=measured(task))
