"""Hospitals are trained and evaluated in this process, in the threads that ask for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from federated.algorithm import Algorithm
from federated.devices import lane
from federated.evaluation import evaluate_group, groups
from federated.shares import Share, train_share
from federated.site import LocalSite
from federated.types import Order, Weights
from tasks.engine import FEW, Evaluation, joined, packed


@dataclass(frozen=True)
class Local:
    """lanes: threads that may train at once; 1 is one hospital after another."""

    algorithm: Algorithm
    sites: Mapping[str, LocalSite]
    lanes: int
    apart: int = FEW
    runner: None = None

    def train(self, cohort: Sequence[str], order: Order, states: Mapping[str, Weights]) -> Share:
        """See `tasks.engine.Engine`."""
        with lane(self.sites[cohort[0]].device):
            return train_share(self.algorithm, (self.sites[h] for h in cohort), order, states)

    def evaluate(self, number: int, weights: Weights, states: Mapping[str, Weights]) -> Evaluation:
        """See `tasks.engine.Engine`."""
        all_ = groups(list(self.sites.values()))
        return joined([packed(evaluate_group(one, number, weights, states)) for one in all_])

    def close(self) -> None:
        """Holds nothing."""
