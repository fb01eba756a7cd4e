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

    norm: of each hidden layer before its ReLU. `layer` (Ba, Kiros, Hinton 2016, arXiv:1607.06450)
    has no statistics, and a batch may be one row; `batch` (Ioffe, Szegedy 2015, arXiv:1502.03167)
    has running ones, which hospitals average. dropout: share of each hidden layer's numbers that
    training leaves out (Srivastava et al. 2014).
    """

    hidden: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(strict=False)] = (32,)
    norm: Literal["layer", "batch"] | None = None
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0

    def build(self, inputs: tuple[int, ...], outputs: int) -> nn.Module:
        """[n, *inputs] → [n, outputs]."""
        widths = [math.prod(inputs), *self.hidden]
        layers: list[nn.Module] = [nn.Flatten()]
        for before, after in pairwise(widths):
            layers += [nn.Linear(before, after), *self._norm(after), nn.ReLU()]
            layers += [nn.Dropout(self.dropout)] if self.dropout else []
        return nn.Sequential(*layers, nn.Linear(widths[-1], outputs))

    def _norm(self, width: int) -> list[nn.Module]:
        match self.norm:
            case "layer":
                return [nn.LayerNorm(width)]
            case "batch":
                return [nn.BatchNorm1d(width)]
            case None:
                return []
