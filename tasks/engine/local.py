"""Hospitals are trained and evaluated in this process, in the threads that ask for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from federated.algorithm import Algorithm
from federated.evaluation import evaluate_group, groups
from federated.shares import Share, train_share
from federated.site import Evaluated, LocalSite
from federated.types import Order, Weights


@dataclass(frozen=True)
class Local:
    """lanes: threads that may train at once; 1 is one hospital after another."""

    algorithm: Algorithm
    sites: Mapping[str, LocalSite]
    lanes: int

    def train(self, cohort: Sequence[str], order: Order, states: Mapping[str, Weights]) -> Share:
        """See `tasks.engine.Engine`."""
        return train_share(self.algorithm, (self.sites[h] for h in cohort), order, states)

    def evaluate(
        self, number: int, weights: Weights, states: Mapping[str, Weights]
    ) -> dict[str, Evaluated]:
        """See `tasks.engine.Engine`."""
        found: dict[str, Evaluated] = {}
        for group in groups(list(self.sites.values())):
            found |= evaluate_group(group, number, weights, states)
        return found

    def close(self) -> None:
        """Holds nothing."""
