"""Every hospital trains the final global model on, for itself.

Wang et al. 2019 (arXiv:1910.10252): one more round of local training, whose update nobody sends.
"""

from dataclasses import replace
from typing import Annotated, Any

from pydantic import Field

from federated.local import LocalTask
from federated.personal import Personal
from federated.plugins import options
from federated.types import Weights


@options
class Finetune(Personal):
    """times: how often the local rule's round (its epochs or steps) is repeated."""

    times: Annotated[int, Field(ge=1)] = 1

    @property
    def tunes(self) -> bool:
        """Yes, after the last round."""
        return True

    def tune(self, rule: Any, task: LocalTask) -> Weights:
        """The whole model, trained on from w."""
        rule.train(replace(task, steps=self.times * task.steps))
        trained = task.network.state_dict()
        return {name: t.detach().clone() for name, t in trained.items()}
