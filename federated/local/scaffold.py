"""SGD with control variates, which cancel the drift of hospitals that differ.

SCAFFOLD: Karimireddy et al. 2020 (arXiv:1910.06378), algorithm 1. c_i stays at the hospital and is
0 before its first round; c comes from the server rule `scaffold`; c_i⁺ - c_i is sent.
"""

from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field

from federated.local import LocalResult, LocalTask
from federated.local._descent import Parameters, load, measured, moved
from federated.local.sgd import Positive, Sgd
from federated.plugins import options
from federated.types import Weights


@options
class Scaffold:
    """option: how c_i is renewed. 1: the gradient at w over all rows; 2: from the path taken.

    lr, epochs, steps, batch_size, weight_decay, clip, class_weights: as SGD's (no momentum: the
    paper's option 2 divides by the plain steps).
    """

    lr: Positive = 0.01
    epochs: Annotated[int, Field(ge=1)] = 1
    steps: Annotated[int, Field(ge=1)] | None = None
    batch_size: Annotated[int, Field(ge=1)] | None = 32
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    clip: Positive | None = None
    class_weights: Literal["balanced"] | None = None
    option: Literal[1, 2] = 2
    pair: ClassVar[str] = "scaffold"

    def step_count(self, rows: int) -> int:
        """As SGD's."""
        return self._sgd().step_count(rows)

    def train(self, task: LocalTask) -> LocalResult:
        """θ ← θ - η (∇L(θ; batch) - c_i + c); sends u and c_i⁺ - c_i."""
        fresh = self._gradient(task, load(task)) if self.option == 1 else None
        parameters = load(task)  # again: that pass moved the running statistics
        zero = {name: torch.zeros_like(p) for name, p in parameters}
        common, own = zero | task.extra, zero | task.state

        def steer(parameters: Parameters) -> None:
            for name, parameter in parameters:
                assert parameter.grad is not None
                parameter.grad.add_(common[name] - own[name])

        loss = self._sgd().descend(task, parameters, steer)
        delta = moved(task)
        if fresh is None:
            scale = 1 / (task.steps * self.lr * task.rate)
            fresh = {n: own[n] - common[n] - scale * delta[n] for n in zero}
        change = {n: fresh[n] - own[n] for n in zero}
        return LocalResult(
            delta, task.steps, loss, state=fresh, tensors=change, buffers=measured(task)
        )

    def _sgd(self) -> Sgd:
        return Sgd(
            lr=self.lr,
            epochs=self.epochs,
            steps=self.steps,
            batch_size=self.batch_size,
            weight_decay=self.weight_decay,
            clip=self.clip,
            class_weights=self.class_weights,
        )

    def _gradient(self, task: LocalTask, parameters: Parameters) -> Weights:
        """Option 1: ∇L_i(w) over all rows, weight decay included."""
        rows, objective = task.rows, task.objective
        own = objective.row_weights(rows.targets) if self.class_weights else None
        value = objective.loss(task.network(rows.features), rows.targets, own)
        gradients = torch.autograd.grad(value, [p for _, p in parameters])
        pairs = zip(parameters, gradients, strict=True)
        return {n: g + self.weight_decay * p.detach() for (n, p), g in pairs}
