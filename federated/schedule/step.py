"""The step size falls by a factor every so many rounds."""

from typing import Annotated

from pydantic import Field

from federated.plugins import options


@options
class Step:
    """every: rounds between two falls. gamma: the factor of each."""

    every: Annotated[int, Field(ge=1)] = 10
    gamma: Annotated[float, Field(gt=0, le=1)] = 0.5

    def factor(self, number: int, rounds: int) -> float:
        """gamma^⌊(number - 1) / every⌋."""
        return self.gamma ** ((number - 1) // self.every)
