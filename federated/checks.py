"""What an update must be before it may be aggregated."""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch

from federated.errors import UpdateError
from federated.types import Update, Weights
from federated.weights import floating

_DIVERGED = "training diverged: lower algorithm.local.lr"


def check_update(update: Update, weights: Weights) -> Update:
    """The update itself, if it fits the weights it was computed from.

    Raises UpdateError, which names hospital, round and tensor.
    """
    if update.examples < 1 or update.steps < 1:
        raise _refused(update, f"trained on {update.examples} examples in {update.steps} steps")
    _check_tensors(update, floating(weights), "the model's")
    if not math.isfinite(update.loss):
        raise _refused(update, f"the training loss is {update.loss}; {_DIVERGED}")
    return update


def alike(updates: Sequence[Update]) -> list[Update]:
    """The updates in the order of their hospitals' names, if they can be aggregated together.

    Raises ValueError without updates or for two of one hospital, and UpdateError, which names
    hospital, round and tensor, for NaN, infinity, and tensors unlike the first hospital's.
    """
    if not updates:
        raise ValueError("no updates to aggregate")
    ordered = sorted(updates, key=lambda update: update.hospital)
    for left, right in pairwise(ordered):
        if left.hospital == right.hospital:
            raise ValueError(f"two updates of hospital {left.hospital!r}")
    first = ordered[0]
    for update in ordered:
        _check_tensors(update, first.delta, f"{first.hospital}'s")
    return ordered


def _check_tensors(update: Update, expected: Weights, whose: str) -> None:
    if update.delta.keys() != expected.keys():
        odd = sorted(update.delta.keys() ^ expected.keys())
        raise _refused(update, f"the update's tensors are not {whose}: {', '.join(odd)}")
    for name, tensor in update.delta.items():
        like = expected[name]
        if tensor.shape != like.shape or tensor.dtype != like.dtype:
            got, want = f"{tensor.dtype}{list(tensor.shape)}", f"{like.dtype}{list(like.shape)}"
            raise _refused(update, f"tensor {name!r} is {got}, {whose} is {want}")
        if not bool(torch.isfinite(tensor).all()):
            raise _refused(update, f"tensor {name!r} holds NaN or infinity; {_DIVERGED}")


def _refused(update: Update, why: str) -> UpdateError:
    return UpdateError(update.hospital, update.round, why)
