"""Updates are aggregated as they came."""

from collections.abc import Sequence

from federated.plugins import options
from federated.types import Update


@options
class Plain:
    """No options."""

    def prepare(self, updates: Sequence[Update]) -> list[Update]:
        """The updates themselves."""
        return list(updates)
