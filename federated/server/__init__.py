"""The step that the coordinator takes with the aggregate.

A rule is a `Server` with `init(weights) -> state` and
`apply(weights, aggregate, state) -> (weights, state)`; the state is Weights too, so that the
journal keeps it like weights. Nothing is hidden on `self`. Tensors that `aggregate.step` lacks are
left alone: they stay at the hospitals, or are running statistics (`federated.coordinator.apply`).
"""

from federated.types import Weights


class Server:
    """What every server rule may leave as it is."""

    def broadcast(self, state: Weights) -> Weights:
        """What hospitals get besides the weights: nothing."""
        return {}
