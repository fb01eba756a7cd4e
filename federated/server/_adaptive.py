"""What the server rules with moments share: their state, and FedOpt's step.

Reddi et al. 2021 (arXiv:2003.00295), algorithm 2:
m ← β₁m + (1 - β₁)Δ;  v by the rule;  w ← w + η·m/(√v + τ), number by number.

The state is flat: `m.<name>` and `v.<name>`, float64 and shaped as the weights, and `t`, the
rounds taken. Tensors without an entry in the step, hospitals' own and running statistics, are left
alone.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from federated.types import Aggregate, Weights
from federated.weights import add, floating

Second = Callable[[Tensor, Tensor], Tensor]
"""(v, Δ²) → the new v."""


def moments(weights: Weights, prefix: str, value: float) -> Weights:
    """`prefix.name` → a float64 tensor filled with `value`, for every floating tensor."""
    return {
        f"{prefix}.{name}": torch.full_like(t, value, dtype=torch.float64)
        for name, t in floating(weights).items()
    }


def initial(weights: Weights, second: float) -> Weights:
    """m = 0, v = second, t = 0."""
    rounds = {"t": torch.zeros((), dtype=torch.float64)}
    return moments(weights, "m", 0.0) | moments(weights, "v", second) | rounds


def adaptive(
    weights: Weights,
    aggregate: Aggregate,
    state: Weights,
    second: Second,
    lr: float,
    tau: float,
    beta1: float,
    correct: tuple[float, float],
) -> tuple[Weights, Weights]:
    """One step, new weights and new state.

    correct: (b₁, b₂), by which m is divided as 1 - b₁ᵗ and v as 1 - b₂ᵗ; 0 corrects nothing.
    """
    after = dict(state)
    after["t"] = state["t"] + 1
    rounds = float(after["t"])
    scale_m, scale_v = (1 - b**rounds for b in correct)
    steps = {}
    for name, delta in aggregate.step.items():
        m = beta1 * state[f"m.{name}"] + (1 - beta1) * delta
        v = second(state[f"v.{name}"], delta.square())
        after[f"m.{name}"], after[f"v.{name}"] = m, v
        steps[name] = lr * (m / scale_m) / ((v / scale_v).sqrt() + tau)
    return add(weights, steps), after
