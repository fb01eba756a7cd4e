"""Updates with new vectors."""

from collections.abc import Sequence
from dataclasses import replace

from federated.aggregation._stack import Array, Stack
from federated.types import Update


def prepared(updates: Sequence[Update], all_: Stack, rows: Array) -> list[Update]:
    """The updates in their own order with rows [n, d], which are in the order of the stack."""
    new = {}
    for update, row in zip(all_.updates, rows, strict=True):
        tensors = all_.weights(row)
        delta = {name: t.to(update.delta[name].dtype) for name, t in tensors.items()}
        new[update.hospital] = replace(update, delta=delta)
    return [new[update.hospital] for update in updates]
