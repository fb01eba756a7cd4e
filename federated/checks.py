"""What an update must be before it may be aggregated."""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch

from federated.errors import UpdateError
from federated.types import Update, Weights

_DIVERGED = "training diverged: lower algorithm.local.lr"


def check_update(update: Update, expected: Weights, buffers: frozenset[str]) -> Update:
    """The update itself, if its tensors are those of `expected`: the shared ones of the model.

    buffers: names of those that are measured. Raises UpdateError, which names hospital, round and
    tensor.
    """
    if update.examples < 1 or update.steps < 1:
        raise _refused(update, f"trained on {update.examples} examples in {update.steps} steps")
    trained = {name: t for name, t in expected.items() if name not in buffers}
    _check_tensors(update, update.delta, trained, "the model's")
    statistics = {name: t for name, t in expected.items() if name in buffers}
    _check_tensors(update, update.buffers, statistics, "the model's")
    _check_variances(update)
    like = {name: t for name, t in expected.items() if name in update.tensors}
    _check_tensors(update, update.tensors, like, "the model's")
    for name, value in {"the training loss": update.loss, **update.scalars}.items():
        if not math.isfinite(value):
            raise _refused(update, f"{name} is {value}; {_DIVERGED}")
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
        _check_tensors(update, update.delta, first.delta, f"{first.hospital}'s")
        _check_tensors(update, update.buffers, first.buffers, f"{first.hospital}'s")
    return ordered


def _check_tensors(update: Update, found: Weights, expected: Weights, whose: str) -> None:
    if found.keys() != expected.keys():
        odd = sorted(found.keys() ^ expected.keys())
        raise _refused(update, f"the update's tensors are not {whose}: {', '.join(odd)}")
    for name, tensor in found.items():
        like = expected[name]
        if tensor.shape != like.shape or tensor.dtype != like.dtype:
            got, want = f"{tensor.dtype}{list(tensor.shape)}", f"{like.dtype}{list(like.shape)}"
            raise _refused(update, f"tensor {name!r} is {got}, {whose} is {want}")
        if not bool(torch.isfinite(tensor).all()):
            raise _refused(update, f"tensor {name!r} holds NaN or infinity; {_DIVERGED}")


def _check_variances(update: Update) -> None:
    """Raise UpdateError for a running variance below 0, of which a normalisation makes NaN."""
    for name, tensor in update.buffers.items():
        if name.endswith("running_var") and bool((tensor < 0).any()):
            raise _refused(update, f"tensor {name!r} holds a variance below 0")


def _refused(update: Update, why: str) -> UpdateError:
    return UpdateError(update.hospital, update.round, why)
