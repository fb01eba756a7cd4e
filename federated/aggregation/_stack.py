"""Updates as the rows of one matrix, and back to tensors.

The vector of a hospital is every tensor of its update, floating buffers (a batch norm's running
statistics) too: what a faulty hospital sends there does as much harm. All sums are numpy's: they
use one thread, so the bits do not depend on torch's number of threads.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from federated.checks import alike
from federated.types import Update, Weights

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Stack:
    """updates: in the order of their hospitals' names. rows: [n, d], one vector an update."""

    updates: list[Update]
    rows: Array

    def weights(self, vector: Array) -> Weights:
        """A vector [d] under the updates' names and shapes, float64."""
        tensors, start = {}, 0
        for name, like in self.updates[0].delta.items():
            part = torch.from_numpy(vector[start : start + like.numel()].copy())
            tensors[name] = part.reshape(like.shape)
            start += like.numel()
        return tensors


def stack(updates: Sequence[Update]) -> Stack:
    """All updates as float64 rows. Raises as `federated.checks.alike`."""
    ordered = alike(updates)
    names = list(ordered[0].delta)
    rows = [np.concatenate([u.delta[k].double().numpy().ravel() for k in names]) for u in ordered]
    return Stack(ordered, np.stack(rows))


def norms(rows: Array) -> Array:
    """Euclidean norms [n] of rows [n, d]."""
    lengths: Array = np.sqrt(np.square(rows).sum(axis=1))
    return lengths


def squared_distances(rows: Array) -> Array:
    """‖x_i - x_j‖² [n, n] of rows [n, d]: from differences, so that equal rows give exactly 0."""
    return np.stack([np.square(rows - row).sum(axis=1) for row in rows])
