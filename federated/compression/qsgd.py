"""Stochastic rounding to a few levels: one byte a number, right on average.

QSGD: Alistarh et al. 2017 (arXiv:1610.02132), section 3.1, one bucket a tensor. What is lost of x
is no more than ω‖x‖² on average, ω = min(d/s², √d/s) of d numbers (lemma 3.1). Where ω is 1 or
more the loss may be larger than x, and error feedback would add it up for ever: it needs a rule
that always brings the rest nearer to 0 (Karimireddy et al. 2019, arXiv:1901.09847, assumption A).
Divided by 1 + ω the rounded tensor is such a rule (Beznosikov et al. 2020, arXiv:2002.12410).
"""

import math
from typing import Annotated, Literal

import torch
from pydantic import Field

from federated.plugins import options
from federated.types import Weights


@options
class Qsgd:
    """levels: s, steps between 0 and the scale (127 fill a byte).

    scale: `l2`, the tensor's norm, as in the paper; `max`, its largest magnitude, which rounds
    finer: every number loses at most 1/s of it. error_feedback: what rounding lost is added to the
    hospital's next update; with `l2`, or of one level, what is sent is then divided by 1 + ω.
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
        """scale · level / s, divided by 1 + ω where error feedback needs it."""
        return {
            name: (
                encoded[f"{name}/levels"].double()
                * (encoded[f"{name}/scale"].double() / self.levels)
                / self._damped(tensor.numel())
            ).to(tensor.dtype)
            for name, tensor in like.items()
        }

    def _damped(self, numbers: int) -> float:
        """1 + ω, or 1 where nothing lost can add up."""
        if not self.error_feedback or (self.scale == "max" and self.levels > 1):
            return 1.0
        return 1.0 + min(numbers / self.levels**2, math.sqrt(numbers) / self.levels)
