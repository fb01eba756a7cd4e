"""What one hospital does in a round.

A rule is a frozen dataclass with `step_count(rows) -> int`, the number of gradient steps of a full
round, and `train(task) -> LocalResult`. Its state goes in and comes out; nothing is kept on `self`.
"""

from dataclasses import dataclass, field

import torch
from torch import nn

from federated.objectives import Objective
from federated.types import Split, Weights


@dataclass(frozen=True)
class LocalTask:
    """One hospital's work in one round.

    network: scratch space, loaded with `weights` before use. weights: θ starts here. rows: training
    rows. steps: gradient steps to take. objective: what is descended (`federated.objectives`).
    rate: factor of the step size. state: what the rule kept at this hospital. extra: what the
    server rule broadcast. own: tensors that stay at the hospital. anchor: what a proximal term
    pulls towards, if not `weights`.
    """

    network: nn.Module
    weights: Weights
    rows: Split
    steps: int
    generator: torch.Generator
    objective: Objective
    rate: float = 1.0
    state: Weights = field(default_factory=dict)
    extra: Weights = field(default_factory=dict)
    own: frozenset[str] = frozenset()
    anchor: Weights | None = None


@dataclass(frozen=True)
class LocalResult:
    """delta: u_i over the parameters; loss: mean over the steps, nats per row.

    state: what the rule keeps at the hospital. tensors, scalars: what else it sends. buffers: the
    network's floating buffers as training left them (`federated.local._descent.measured`).
    """

    delta: Weights
    steps: int
    loss: float
    state: Weights = field(default_factory=dict)
    tensors: Weights = field(default_factory=dict)
    scalars: dict[str, float] = field(default_factory=dict)
    buffers: Weights = field(default_factory=dict)
