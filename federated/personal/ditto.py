"""A model of its own for every hospital, held near the global one.

Ditto: Li et al. 2021 (arXiv:2012.04221), algorithm 1: v_i ← v_i - η (∇L_i(v_i) + λ (v_i - w)). The
global model is trained as if there were no personal ones.
"""

from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import Field

from federated.local import LocalResult, LocalTask
from federated.local.proximal import Proximal
from federated.local.sgd import Positive
from federated.personal import Personal
from federated.plugins import options
from federated.types import Weights


@options
class Ditto(Personal):
    """strength: λ, the pull of v_i towards w.

    lr, steps, batch_size, clip, class_weights: of v_i's SGD, and mean what they mean there; steps
    None takes as many as the round's.
    """

    strength: Annotated[float, Field(ge=0)] = 0.1
    lr: Positive = 0.01
    steps: Annotated[int, Field(ge=1)] | None = None
    batch_size: Annotated[int, Field(ge=1)] | None = 32
    clip: Positive | None = None
    class_weights: Literal["balanced"] | None = None

    def train(self, rule: Any, task: LocalTask, own: Weights) -> tuple[LocalResult, Weights]:
        """The global round first, then v_i, which begins as the first w the hospital gets."""
        result = rule.train(task)
        solver = Proximal(
            lr=self.lr,
            mu=self.strength,
            batch_size=self.batch_size,
            clip=self.clip,
            class_weights=self.class_weights,
        )
        start = own or task.weights
        mine = replace(task, weights=start, anchor=task.weights, steps=self.steps or task.steps)
        solver.train(mine)
        trained = task.network.state_dict()
        return result, {name: t.detach().clone() for name, t in trained.items()}
