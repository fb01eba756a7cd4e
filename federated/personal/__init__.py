"""Which part of the model belongs to each hospital alone.

A rule is a `Personal`. A hospital's own tensors stay in its state: they are never sent, and its
evaluation and its exported model use them.
"""

from typing import Any

from torch import nn

from federated.local import LocalResult, LocalTask
from federated.types import Weights


class Personal:
    """Nothing is personal, unless a rule says so."""

    def names(self, network: nn.Module) -> frozenset[str]:
        """Tensors of the network that stay at the hospital. Raises ConfigError if that fails."""
        return frozenset()

    def model(self, weights: Weights, own: Weights) -> Weights:
        """What the hospital evaluates: the global weights with its own tensors in place."""
        return weights | own

    def train(self, rule: Any, task: LocalTask, own: Weights) -> tuple[LocalResult, Weights]:
        """A round by the local rule; the result to send, and the hospital's own tensors."""
        return rule.train(task), own

    @property
    def tunes(self) -> bool:
        """Is there one more round, in which nobody sends anything?"""
        return False

    def tune(self, rule: Any, task: LocalTask) -> Weights:
        """That round: the hospital's own tensors after it."""
        raise NotImplementedError
