"""The same named hospitals in every round; the others only evaluate."""

from typing import Annotated

import torch
from pydantic import Field

from federated.errors import ConfigError
from federated.plugins import nearest, options
from federated.selection import Candidates


@options
class Only:
    """hospitals: names of those that train."""

    hospitals: Annotated[tuple[str, ...], Field(strict=False, min_length=1)]

    def select(self, candidates: Candidates, generator: torch.Generator) -> list[str]:
        """Those named. Raises ConfigError for a name that is no hospital with examples."""
        for name in self.hospitals:
            if name not in candidates.hospitals:
                hint = nearest(name, list(candidates.hospitals))
                raise ConfigError(
                    f"algorithm.selection.hospitals: no hospital {name!r} that can train; {hint}"
                )
        return [name for name in candidates.hospitals if name in self.hospitals]
