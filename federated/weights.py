"""Algebra on Weights, and the sum that does not depend on order.

Floating-point addition is not associative: summed in another order, the same updates give other
bits. So updates are summed as int64 fixed point with FRACTION_BITS binary digits after the point:
every term n_i·u_i is rounded once to the nearest 2^-36, and integers add exactly. Threads,
processes and arrival order all give the same bits, and partial sums may be merged at will.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from safetensors.torch import load as _load
from safetensors.torch import save as _save
from torch import Tensor, nn

from federated.types import Weights

FRACTION_BITS = 36
_SCALE = float(2**FRACTION_BITS)
_LIMIT = 2**62  # half of int64's range: one more addition cannot overflow unseen


@dataclass(frozen=True)
class ExactSum:
    """Σ n_i·u_i over some updates, in units of 2^-36, and Σ n_i."""

    total: dict[str, Tensor]  # int64, shapes as the weights'
    coefficient: int

    def value(self) -> Weights:
        """The sum as float64."""
        return {name: t.double() / _SCALE for name, t in self.total.items()}

    def mean(self) -> Weights:
        """Σ n_i·u_i / Σ n_i as float64."""
        return {name: t.double() / (_SCALE * self.coefficient) for name, t in self.total.items()}


def term(delta: Weights, coefficient: int) -> ExactSum:
    """n·u as an exact sum of one update.

    Raises OverflowError, naming the tensor, if a value leaves the range of ±2^26 / n.
    """
    if coefficient < 1:
        raise ValueError(f"the coefficient of an update must be at least 1 (got {coefficient})")
    total = {}
    for name, tensor in delta.items():
        fixed = torch.round(tensor.double() * _SCALE)
        if not bool((fixed.abs() * coefficient < _LIMIT).all()):
            raise OverflowError(f"tensor {name!r} is too large for the exact sum, or not finite")
        total[name] = fixed.to(torch.int64) * coefficient
    return ExactSum(total, coefficient)


def merge(left: ExactSum, right: ExactSum) -> ExactSum:
    """The sum of two sums: associative and commutative to the bit. Raises OverflowError."""
    total = {}
    for name, tensor in left.total.items():
        total[name] = tensor + right.total[name]
        if bool((total[name].abs() >= _LIMIT).any()):
            raise OverflowError(f"the sum of updates overflows in tensor {name!r}")
    return ExactSum(total, left.coefficient + right.coefficient)


def exact_sum(terms: Iterable[tuple[Weights, int]]) -> ExactSum:
    """Σ n_i·u_i over pairs (u_i, n_i). Raises ValueError if there are none."""
    result: ExactSum | None = None
    for delta, coefficient in terms:
        one = term(delta, coefficient)
        result = one if result is None else merge(result, one)
    if result is None:
        raise ValueError("no updates to sum")
    return result


def stacked_sum(deltas: Weights, coefficients: Sequence[int]) -> ExactSum:
    """Σ n_i·u_i of deltas whose first axis is i: the same bits as `exact_sum`.

    Raises OverflowError, naming the tensor, also where only the sum of magnitudes is too large.
    """
    n, total = torch.tensor(coefficients), {}
    for name, tensor in deltas.items():
        fixed = torch.round(tensor.double() * _SCALE)
        factor = n.reshape(-1, *[1] * (tensor.dim() - 1))
        if not bool(((fixed.abs() * factor).sum(dim=0) < _LIMIT).all()):
            raise OverflowError(f"tensor {name!r} is too large for the exact sum, or not finite")
        total[name] = (fixed.to(torch.int64) * factor).sum(dim=0)
    return ExactSum(total, sum(coefficients))


def floating(weights: Weights) -> Weights:
    """The tensors that hospitals send. Integer buffers (counters) stay the coordinator's."""
    return {name: t for name, t in weights.items() if t.is_floating_point()}


def trained_names(network: nn.Module) -> frozenset[str]:
    """Of the tensors that gradients change; a tensor of two names counts under both."""
    return frozenset(name for name, _ in network.named_parameters(remove_duplicate=False))


def buffer_names(network: nn.Module) -> frozenset[str]:
    """Of the floating tensors that a network measures, such as a batch norm's statistics."""
    return frozenset(floating(network.state_dict())) - trained_names(network)


def add(weights: Weights, step: Weights, scale: float = 1.0) -> Weights:
    """w + scale·step, computed in float64 and rounded once to each tensor's own dtype."""
    return {
        name: (t.double() + scale * step[name].double()).to(t.dtype) if name in step else t
        for name, t in weights.items()
    }


def to_bytes(weights: Weights, metadata: Mapping[str, str] | None = None) -> bytes:
    """Safetensors bytes: the same weights always give the same bytes."""
    tensors = {name: t.detach().cpu().contiguous() for name, t in weights.items()}
    return _save(tensors, dict(metadata) if metadata else None)


def from_bytes(data: bytes) -> Weights:
    """Weights from safetensors bytes."""
    return dict(_load(data))


def digest(data: bytes) -> str:
    """SHA-256 in hexadecimal: the name of a content-addressed file."""
    return hashlib.sha256(data).hexdigest()


def digest_json(value: object) -> str:
    """SHA-256 of a value's canonical JSON (sorted keys, no blanks)."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return digest(text.encode())
