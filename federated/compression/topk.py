"""Only the largest numbers of every tensor are sent, with their places.

Top-k with memory: Stich, Cordonnier, Jaggi 2018 (arXiv:1809.07599), algorithm 1.
"""

import math
from typing import Annotated

import torch
from pydantic import Field

from federated.plugins import options
from federated.types import Weights


@options
class Topk:
    """fraction: share of each tensor's numbers that is sent, at least one.

    error_feedback: what was not sent is added to the hospital's next update.
    """

    fraction: Annotated[float, Field(gt=0, le=1)] = 0.1
    error_feedback: bool = True

    def encode(self, delta: Weights, generator: torch.Generator) -> Weights:
        """`<name>/at`: int32 places of the largest magnitudes (of equal ones the first);
        `<name>/values`: what is there."""
        sent: Weights = {}
        for name, tensor in delta.items():
            flat = tensor.flatten()
            count = max(1, math.ceil(self.fraction * len(flat) - 1e-9))
            order = flat.abs().argsort(descending=True, stable=True)
            at = order[:count].sort().values
            sent[f"{name}/at"], sent[f"{name}/values"] = at.to(torch.int32), flat[at]
        return sent

    def decode(self, encoded: Weights, like: Weights) -> Weights:
        """Zeros but for the numbers that were sent."""
        found = {}
        for name, tensor in like.items():
            flat = torch.zeros_like(tensor).flatten()
            flat[encoded[f"{name}/at"].long()] = encoded[f"{name}/values"]
            found[name] = flat.reshape(tensor.shape)
        return found
