"""What an update must be before it may be aggregated."""

import math

import torch

from federated.errors import UpdateError
from federated.types import Update, Weights


def check_update(update: Update, expected: Weights) -> Update:
    """The update itself, if its tensors are those of `expected`: the shared ones of the model.

    Raises UpdateError, which names hospital, round and tensor.
    """

    def refuse(why: str) -> UpdateError:
        return UpdateError(update.hospital, update.round, why)

    if update.examples < 1 or update.steps < 1:
        raise refuse(f"trained on {update.examples} examples in {update.steps} steps")
    if update.delta.keys() != expected.keys():
        odd = sorted(update.delta.keys() ^ expected.keys())
        raise refuse(f"the update's tensors are not the model's: {', '.join(odd)}")
    for name, tensor in (*update.delta.items(), *update.tensors.items()):
        if name not in expected:
            raise refuse(f"tensor {name!r} is none of the model's")
        like = expected[name]
        if tensor.shape != like.shape or tensor.dtype != like.dtype:
            got, want = f"{tensor.dtype}{list(tensor.shape)}", f"{like.dtype}{list(like.shape)}"
            raise refuse(f"tensor {name!r} is {got}, the model's is {want}")
        if not bool(torch.isfinite(tensor).all()):
            raise refuse(f"tensor {name!r} holds NaN or infinity; {_DIVERGED}")
    if not math.isfinite(update.loss):
        raise refuse(f"the training loss is {update.loss}; {_DIVERGED}")
    for name, value in update.scalars.items():
        if not math.isfinite(value):
            raise refuse(f"{name} is {value}; {_DIVERGED}")
    return update


_DIVERGED = "training diverged: lower algorithm.local.lr"
