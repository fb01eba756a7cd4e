"""A multi-layer perceptron with ReLU."""

import math
from itertools import pairwise
from typing import Annotated

from pydantic import Field
from torch import nn

from federated.plugins import options


@options
class Mlp:
    """hidden: the widths of the hidden layers, in order."""

    hidden: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(strict=False)] = (32,)

    def build(self, inputs: tuple[int, ...], outputs: int) -> nn.Module:
        """[n, *inputs] → [n, outputs]."""
        widths = [math.prod(inputs), *self.hidden]
        layers: list[nn.Module] = [nn.Flatten()]
        for before, after in pairwise(widths):
            layers += [nn.Linear(before, after), nn.ReLU()]
        return nn.Sequential(*layers, nn.Linear(widths[-1], outputs))
