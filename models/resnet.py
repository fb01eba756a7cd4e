"""A small residual network for images of any size from 8×8 (He et al. 2016, arXiv:1512.03385).

Normalisation is GroupNorm (Wu, He 2018, arXiv:1803.08494): it has no buffers, and does not mix what
patients of one batch, or of several hospitals, look like.

With `norm: batch` hospitals measure BatchNorm's running means and variances, which are averaged by
examples (robust rules guard them as they guard weights); the counter of batches is an integer and
stays the coordinator's. The mean of hospitals' variances leaves out how far their means lie apart.
"""

import math
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn

from federated.errors import ConfigError
from federated.plugins import options

_LEAST_SIDE = 8
_MOST_GROUPS, _LEAST_CHANNELS = 8, 4
Norm = Literal["group", "batch"]


@options
class Resnet:
    """width: channels of the first block, doubled by each further one, which halves the image.
    blocks: how many. norm: of every convolution's output."""

    width: Annotated[int, Field(ge=1)] = 16
    blocks: Annotated[int, Field(ge=1, le=6)] = 3
    norm: Norm = "group"

    def build(self, inputs: tuple[int, ...], outputs: int) -> nn.Module:
        """[n, channels, h, w] → [n, outputs]. Raises ConfigError for no or smaller images."""
        if len(inputs) != 3 or min(inputs[1:]) < _LEAST_SIDE:
            shape = "×".join(map(str, inputs))
            raise ConfigError(
                f"model.name resnet: needs images of at least {_LEAST_SIDE}×{_LEAST_SIDE}, "
                f"the data give {shape}; choose mlp or logistic for tables"
            )
        widths = [self.width * 2**i for i in range(self.blocks)]
        layers: list[nn.Module] = [
            nn.Conv2d(inputs[0], self.width, 3, padding=1, bias=False),
            _norm(self.norm, self.width),
            nn.ReLU(),
            _Block(self.width, self.width, 1, self.norm),
        ]
        side = min(inputs[1:])
        for before, after in pairwise(widths):
            stride = 2 if side > 2 else 1  # BatchNorm needs more than one value a channel
            side = -(-side // stride)
            layers.append(_Block(before, after, stride, self.norm))
        head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[-1], outputs)]
        return nn.Sequential(*layers, *head)


class _Block(nn.Module):
    """ReLU(x + f(x)), f two convolutions; x goes through one of 1×1 where widths differ."""

    def __init__(self, before: int, after: int, stride: int, norm: Norm) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False),
            _norm(norm, after),
            nn.ReLU(),
            nn.Conv2d(after, after, 3, padding=1, bias=False),
            _norm(norm, after),
        )
        self.shortcut: nn.Module = nn.Identity()
        if before != after:
            self.shortcut = nn.Sequential(
                nn.Conv2d(before, after, 1, stride=stride, bias=False), _norm(norm, after)
            )
        self.last = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """[n, before, h, w] → [n, after, h/stride, w/stride]."""
        y: Tensor = self.last(self.shortcut(x) + self.inner(x))
        return y


def _norm(name: Norm, channels: int) -> nn.Module:
    """BatchNorm, or GroupNorm of at most 8 groups, each of 4 channels or more."""
    if name == "batch":
        return nn.BatchNorm2d(channels)
    groups = math.gcd(_MOST_GROUPS, channels, max(1, channels // _LEAST_CHANNELS))
    return nn.GroupNorm(groups, channels)
