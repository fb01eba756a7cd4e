"""Which hospitals take part in a round: the cohort.

A rule is a frozen dataclass with `select(candidates, generator) -> list of names`, in the order of
`candidates.hospitals`, at least one.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Candidates:
    """What a selection may ask about.

    hospitals: those that have examples to train on. examples: n_i by hospital. round: its number,
    from 1. seed: the run's. loss: a hospital's mean training loss by the model it would evaluate;
    asking costs it a pass.
    """

    hospitals: tuple[str, ...]
    examples: Mapping[str, int] = field(default_factory=dict)
    round: int = 1
    seed: int = 0
    loss: Callable[[str], float] = lambda _: 0.0


def share(fraction: float, hospitals: int) -> int:
    """⌈fraction · hospitals⌉, at least one."""
    return max(1, math.ceil(fraction * hospitals - 1e-9))
