"""Head first, then body: FedRep (Collins et al. 2021, arXiv:2102.07078), algorithm 1.

The head is what stays at the hospital (`algorithm.personal`, named layers). It is trained with
the body fixed, then the body with the head fixed; the body's update is sent.
"""

from dataclasses import fields
from typing import Annotated

from pydantic import Field

from federated.errors import ConfigError
from federated.local import LocalResult, LocalTask
from federated.local._descent import load, measured, moved
from federated.local.sgd import Sgd
from federated.plugins import options


@options
class Rep(Sgd):
    """head_steps: steps of the head before the body's; None takes as many as the body takes.

    The other options are SGD's, and are those of both parts.
    """

    head_steps: Annotated[int, Field(ge=1)] | None = None

    def whole(self) -> Sgd:
        """The same solver for a model that is all body."""
        return Sgd(**{f.name: getattr(self, f.name) for f in fields(Sgd)})

    def train(self, task: LocalTask) -> LocalResult:
        """The body's `task.steps` steps count as the round's. Raises ConfigError without a head."""
        parameters = load(task)
        head = [(n, p) for n, p in parameters if n in task.own]
        body = [(n, p) for n, p in parameters if n not in task.own]
        if not head:
            raise ConfigError(
                "algorithm.local.name rep: no layer stays at the hospital; name the head in "
                "algorithm.personal (name: layers)"
            )
        self.descend(task, head, steps=self.head_steps or task.steps)
        loss = self.descend(task, body)
        return LocalResult(
            delta=moved(task),
            steps=task.steps,
            loss=loss,
            scalars={"normaliser": self.normaliser(task)},
            buffers=measured(task),
        )
