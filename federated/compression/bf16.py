"""Numbers are rounded to bfloat16: two bytes each, eight significant bits.

Kalamkar et al. 2019 (arXiv:1905.12322) for the format.
"""

import torch

from federated.plugins import options
from federated.types import Weights


@options
class Bf16:
    """error_feedback: what rounding lost is added to the hospital's next update."""

    error_feedback: bool = True

    def encode(self, delta: Weights, generator: torch.Generator) -> Weights:
        """Rounded to nearest, ties to even."""
        return {name: t.to(torch.bfloat16) for name, t in delta.items()}

    def decode(self, encoded: Weights, like: Weights) -> Weights:
        """The same numbers in the dtypes of `like`."""
        return {name: t.to(like[name].dtype) for name, t in encoded.items()}
