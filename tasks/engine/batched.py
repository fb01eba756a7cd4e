"""Hospitals with a small model are trained as one computation, in the thread that asks for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from federated.algorithm import Algorithm
from federated.batched import Cohort, cohort
from federated.shares import Share
from federated.site import LocalSite
from federated.types import Order, Weights
from tasks.engine import Evaluation
from tasks.engine.local import Local


@dataclass
class Batched:
    """The last cohort's rows are kept together: for most rules it is the next one's, too."""

    algorithm: Algorithm
    sites: Mapping[str, LocalSite]
    lanes: int = 1
    apart: int = 0
    runner: None = None
    _last: tuple[Sequence[str], Cohort] | None = field(default=None, init=False)

    def train(self, names: Sequence[str], order: Order, states: Mapping[str, Weights]) -> Share:
        """See `tasks.engine.Engine`. Hospitals that can be batched have no state of their own."""
        if self._last is None or self._last[0] != names:
            self._last = (names, cohort([self.sites[h] for h in names]))
        return self._last[1].train(order)

    def evaluate(self, number: int, weights: Weights, states: Mapping[str, Weights]) -> Evaluation:
        """See `tasks.engine.Engine`."""
        return Local(self.algorithm, self.sites, self.lanes).evaluate(number, weights, states)

    def close(self) -> None:
        """Holds nothing."""
