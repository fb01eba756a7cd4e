"""SGD on a dynamically regularised loss, whose stationary point is the pooled optimum's.

FedDyn: Acar et al. 2021 (arXiv:2111.04263), algorithm 1: min L_i(θ) - ⟨g_i, θ⟩ + α/2 ‖θ - w‖²,
solved inexactly; then g_i ← g_i - α (θ - w). g_i stays at the hospital and is 0 at first.
"""

from typing import Annotated, ClassVar

import torch
from pydantic import Field

from federated.local import LocalResult, LocalTask
from federated.local._descent import Parameters, load, measured, moved
from federated.local.sgd import Sgd
from federated.plugins import options


@options
class Dyn(Sgd):
    """alpha: α, the strength of the regulariser; the other options are SGD's."""

    alpha: Annotated[float, Field(gt=0)] = 0.01
    gives: ClassVar[frozenset[str]] = frozenset()
    pair: ClassVar[str] = "dyn"

    def train(self, task: LocalTask) -> LocalResult:
        """θ ← θ - η (∇L(θ; batch) - g_i + α (θ - w))."""
        parameters = load(task)
        linear = {name: torch.zeros_like(p) for name, p in parameters} | task.state

        def regularise(parameters: Parameters) -> None:
            for name, parameter in parameters:
                assert parameter.grad is not None
                pull = parameter.detach() - task.weights[name]
                parameter.grad.add_(self.alpha * pull - linear[name])

        loss = self.descend(task, parameters, regularise)
        delta = moved(task)
        state = {name: g - self.alpha * delta[name] for name, g in linear.items()}
        return LocalResult(delta, task.steps, loss, state=state, buffers=measured(task))
