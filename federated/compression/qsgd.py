"""Stochastic rounding to a few levels: one byte a number, right on average.

QSGD: Alistarh et al. 2017 (arXiv:1610.02132), section 3.1, one bucket a tensor.
"""

from typing import Annotated, Literal

import torch
from pydantic import Field

from federated.plugins import options
from federated.types import Weights


@options
class Qsgd:
    """levels: s, steps between 0 and the scale (127 fill a byte).

    scale: `l2`, the tensor's norm, as in the paper; `max`, its largest magnitude, which rounds
    finer. error_feedback: what rounding lost is added to the hospital's next update.
    """

    levels: Annotated[int, Field(ge=1, le=127)] = 127
    scale: Literal["l2", "max"] = "max"
    error_feedback: bool = True

    def encode(self, delta: Weights, generator: torch.Generator) -> Weights:
        """`<name>/levels`: int8, on average s·x/scale; `<name>/scale`: float32."""
        sent: Weights = {}
        for name, tensor in delta.items():
            wide = tensor.double()
            scale = wide.norm() if self.scale == "l2" else wide.abs().max()
            scale = scale.float()
            exact = wide.abs() / scale.double().clamp_min(1e-300) * self.levels
            drawn = torch.rand(tensor.shape, dtype=torch.float64, generator=generator)
            level = (exact + drawn).floor().clamp_max(self.levels)
            sent[f"{name}/levels"] = (wide.sign() * level).to(torch.int8)
            sent[f"{name}/scale"] = scale
        return sent

    def decode(self, encoded: Weights, like: Weights) -> Weights:
        """scale · level / s."""
        return {
            name: (
                encoded[f"{name}/levels"].double()
                * (encoded[f"{name}/scale"].double() / self.levels)
            ).to(tensor.dtype)
            for name, tensor in like.items()
        }
