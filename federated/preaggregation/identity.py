"""Updates as they came."""

from collections.abc import Sequence

from federated.checks import alike
from federated.plugins import options
from federated.types import Update


@options
class Identity:
    """No options."""

    def prepare(self, updates: Sequence[Update]) -> list[Update]:
        """The same updates. Raises as `federated.checks.alike`."""
        alike(updates)
        return list(updates)
