"""SGD held near the global model: min L_i(θ) + μ/2 ‖θ - w‖².

FedProx: Li et al. 2020 (arXiv:1812.06127), algorithm 2, solved inexactly by `steps` steps.
"""

from typing import Annotated

from pydantic import Field

from federated.local import LocalResult, LocalTask
from federated.local._descent import Parameters, load, measured, moved
from federated.local._displacement import displacement
from federated.local.sgd import Sgd
from federated.plugins import options


@options
class Proximal(Sgd):
    """mu: μ, the pull towards w; the other options are SGD's."""

    mu: Annotated[float, Field(ge=0)] = 0.01

    def train(self, task: LocalTask) -> LocalResult:
        """θ ← θ - η (∇L(θ; batch) + μ (θ - w)); w is `task.anchor` where that is given."""
        anchor = task.weights if task.anchor is None else task.anchor

        def pull(parameters: Parameters) -> None:
            for name, parameter in parameters:
                assert parameter.grad is not None
                parameter.grad.add_(parameter.detach() - anchor[name], alpha=self.mu)

        loss = self.descend(task, load(task), pull)
        return LocalResult(
            delta=moved(task),
            steps=task.steps,
            loss=loss,
            scalars={"normaliser": self.normaliser(task)},
            buffers=measured(task),
        )

    def normaliser(self, task: LocalTask) -> float:
        """‖a_i‖₁ of FedNova, with the proximal term."""
        lr = self.lr * task.rate
        return displacement(task.steps, lr, self.momentum, self.nesterov, self.mu)
