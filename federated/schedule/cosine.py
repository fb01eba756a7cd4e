"""Half a cosine from 1 down to `last`: Loshchilov, Hutter 2017 (arXiv:1608.03983), no restarts."""

import math
from typing import Annotated

from pydantic import Field

from federated.plugins import options


@options
class Cosine:
    """last: the factor of the last round. warmup: rounds of a straight rise before the fall."""

    last: Annotated[float, Field(gt=0, le=1)] = 0.01
    warmup: Annotated[int, Field(ge=0)] = 0

    def factor(self, number: int, rounds: int) -> float:
        """number / (warmup + 1) while warming up, then the cosine, `last` in the last round."""
        if number <= self.warmup:
            return number / (self.warmup + 1)
        begun, length = number - self.warmup - 1, rounds - self.warmup - 1
        share = begun / length if length > 0 else 0.0
        return self.last + (1 - self.last) * (1 + math.cos(math.pi * share)) / 2
