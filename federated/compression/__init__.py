"""What is done to an update so that fewer bytes leave the hospital.

A rule is a frozen dataclass with `encode(delta, generator) -> Weights`, the tensors that are sent,
`decode(encoded, like) -> Weights`, what the coordinator makes of them in the shapes and dtypes of
`like`, and `error_feedback`: whether what was lost stays at the hospital and is added to its next
update (Karimireddy et al. 2019, arXiv:1901.09847, algorithm 2).
"""

from dataclasses import dataclass
from typing import Any

import torch

from federated.types import Weights


@dataclass(frozen=True)
class Compressed:
    """delta: what the coordinator decodes; residual: what was lost; sent: bytes on the way."""

    delta: Weights
    residual: Weights
    sent: int


def compress(
    rule: Any, delta: Weights, residual: Weights, generator: torch.Generator
) -> Compressed:
    """Send delta + residual by `rule`. residual: what the last round lost, or nothing."""
    wanted = {n: t + residual[n] if n in residual else t for n, t in delta.items()}
    encoded = rule.encode(wanted, generator)
    decoded = rule.decode(encoded, wanted)
    lost = {n: t - decoded[n] for n, t in wanted.items()} if rule.error_feedback else {}
    return Compressed(decoded, lost, size(encoded))


def size(tensors: Weights) -> int:
    """Bytes of these tensors."""
    return sum(t.numel() * t.element_size() for t in tensors.values())
