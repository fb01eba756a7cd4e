"""The step size falls by the same factor in every round: γ^(t-1)."""

from typing import Annotated

from pydantic import Field

from federated.plugins import options


@options
class Exponential:
    """gamma: γ, what a round's step size is multiplied by for the next."""

    gamma: Annotated[float, Field(gt=0, le=1)] = 0.99

    def factor(self, number: int, rounds: int) -> float:
        """γ^(number - 1)."""
        return self.gamma ** (number - 1)
