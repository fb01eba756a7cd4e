"""A multi-layer perceptron with ReLU, with normalisation between the layers if asked for."""

import math
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field
from torch import nn

from federated.plugins import options


@options
class Mlp:
    """hidden: the widths of the hidden layers, in order.

    norm: `layer` normalises each hidden layer before its ReLU (Ba, Kiros, Hinton 2016,
    arXiv:1607.06450); unlike a batch norm it has no statistics, and a batch may be one row.
    """

    hidden: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(strict=False)] = (32,)
    norm: Literal["layer"] | None = None

    def build(self, inputs: tuple[int, ...], outputs: int) -> nn.Module:
        """[n, *inputs] → [n, outputs]."""
        widths = [math.prod(inputs), *self.hidden]
        layers: list[nn.Module] = [nn.Flatten()]
        for before, after in pairwise(widths):
            between = [nn.LayerNorm(after)] if self.norm else []
            layers += [nn.Linear(before, after), *between, nn.ReLU()]
        return nn.Sequential(*layers, nn.Linear(widths[-1], outputs))
