"""Who computes a round: this process, or worker processes beside it. The bits are the same.

An engine trains a cohort share by share and evaluates hospitals group by group. It holds the
hospitals' rows and no state of the federation: everything else goes in and comes out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from prefect.task_runners import TaskRunner

from federated.shares import Share
from federated.site import Evaluated
from federated.types import Order, Weights
from tasks.packed_counts import Packed, pack, together

FEW = 16
"""Up to so many hospitals each gets a Prefect task run of its own in every round."""


@dataclass(frozen=True)
class Evaluation:
    """Counts of all hospitals over test rows, and over validation rows where they keep any."""

    test: Packed
    validation: Packed


def packed(found: Mapping[str, Evaluated]) -> Evaluation:
    """The evaluation of some hospitals."""
    chosen = {h: one.validation for h, one in found.items() if one.validation is not None}
    return Evaluation(pack({h: one.test for h, one in found.items()}), pack(chosen))


def joined(parts: Sequence[Evaluation]) -> Evaluation:
    """One of several, in their order."""
    test = together([part.test for part in parts])
    return Evaluation(test, together([part.validation for part in parts]))


class Trainer(Protocol):
    """Trains hospitals."""

    def train(self, cohort: Sequence[str], order: Order, states: Mapping[str, Weights]) -> Share:
        """Train these hospitals; may be called from several threads at once.

        Raises UpdateError, naming hospital, round and tensor, and OverflowError.
        """


class Engine(Trainer, Protocol):
    """Trains and evaluates hospitals."""

    @property
    def lanes(self) -> int:
        """Shares that are trained at the same time."""

    @property
    def apart(self) -> int:
        """Up to so many hospitals each is a share, and a Prefect task run, of its own."""

    @property
    def runner(self) -> TaskRunner[Any] | None:
        """Where shares are trained side by side; None is the flow's own threads."""

    def evaluate(self, number: int, weights: Weights, states: Mapping[str, Weights]) -> Evaluation:
        """Counts of every hospital's model after round `number`.

        Raises WardroundError, naming hospital and round.
        """

    def close(self) -> None:
        """Give back what it holds."""
