"""The loop that every mini-batch rule shares: batches, gradients, steps."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from federated.local import LocalTask
from federated.types import Weights
from federated.weights import buffer_names, trained_names

Parameters = list[tuple[str, nn.Parameter]]
Correction = Callable[[Parameters], None]
"""Changes the gradients in place, after the loss's own and before the step."""


class Stepper(Protocol):
    """What takes a step along the parameters' gradients; torch's optimisers do."""

    def step(self) -> object:
        """Change the parameters in place."""


@dataclass(frozen=True)
class Plain:
    """θ ← θ - η g: the bits of `torch.optim.SGD` without its bookkeeping."""

    parameters: Sequence[nn.Parameter]
    lr: float

    @torch.no_grad()
    def step(self) -> None:
        """Change the parameters in place."""
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        torch._foreach_add_([*self.parameters], gradients, alpha=-self.lr)


def descend(
    task: LocalTask,
    optimiser: Stepper,
    parameters: Parameters,
    size: int | None,
    steps: int,
    clip: float | None = None,
    balanced: bool = False,
    correct: Correction | None = None,
) -> float:
    """`steps` steps of `optimiser` over `parameters` of the loaded network; the mean loss.

    size: rows in a batch, None takes all. clip: bound on the norm of the loss's gradient.
    balanced: every class weighs alike. correct: the rule's own change of the gradient.
    """
    rows = task.rows
    weights = task.objective.row_weights(rows.targets) if balanced else None
    tensors = [p for _, p in parameters]
    total = torch.zeros((), dtype=torch.float64, device=rows.targets.device)
    for drawn in batches(len(rows), size or len(rows), steps, task.generator):
        batch = drawn.to(rows.features.device)
        outputs = task.network(rows.features[batch])
        own = None if weights is None else weights[batch]
        value = task.objective.loss(outputs, rows.targets[batch], own)
        gradients = torch.autograd.grad(value, tensors)
        for parameter, gradient in zip(tensors, gradients, strict=True):
            parameter.grad = gradient
        if clip is not None:
            nn.utils.clip_grad_norm_(tensors, clip)
        if correct is not None:
            correct(parameters)
        optimiser.step()
        total += value.detach()
    return float(total) / steps


def load(task: LocalTask) -> Parameters:
    """Load θ = task.weights into the network, to be trained; its parameters by name."""
    task.network.load_state_dict(task.weights)
    task.network.train()
    return list(task.network.named_parameters())


def moved(task: LocalTask) -> Weights:
    """u = θ - the weights that training began from, over the parameters."""
    names, state = trained_names(task.network), task.network.state_dict()
    return {n: t.detach() - task.weights[n] for n, t in state.items() if n in names}


def measured(task: LocalTask) -> Weights:
    """The network's floating buffers as training left them."""
    names, state = buffer_names(task.network), task.network.state_dict()
    return {n: t.detach().clone() for n, t in state.items() if n in names}


def batches(rows: int, size: int, count: int, generator: torch.Generator) -> Iterator[Tensor]:
    """`count` batches of row indices: every epoch visits each row once, in a fresh order.

    A last batch of one row joins the one before it: a batch norm has no variance of one row, and
    one patient would weigh as much as a whole batch.
    """
    cuts = [size * k for k in range(1, steps_of(rows, 1, None, size))]
    while True:
        for batch in torch.tensor_split(torch.randperm(rows, generator=generator), cuts):
            if count == 0:
                return
            count -= 1
            yield batch


def steps_of(rows: int, epochs: int, steps: int | None, size: int | None) -> int:
    """Gradient steps of one round: `steps`, or so many epochs of `batches` of `size` rows."""
    full = size or rows
    alone = rows > full > 1 and rows % full == 1
    return steps or epochs * (-(-rows // full) - alone)
