"""Every hospital takes part in every round."""

from collections.abc import Sequence

import torch

from federated.plugins import options


@options
class All:
    """No options."""

    def select(self, hospitals: Sequence[str], generator: torch.Generator) -> list[str]:
        """All of them."""
        return list(hospitals)
