"""The frozen records that cross every border between hospitals, rules and rounds."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

Weights = dict[str, Tensor]
"""A model's state: name of tensor → tensor, as `nn.Module.state_dict` gives it."""


@dataclass(frozen=True)
class Split:
    """Model-ready rows of one hospital.

    features: float32 [n, ...], finite.
    targets: int64 [n], class index in 0 … classes-1.
    """

    features: Tensor
    targets: Tensor

    def __post_init__(self) -> None:
        if len(self.features) != len(self.targets):
            raise ValueError(f"{len(self.features)} feature rows, {len(self.targets)} targets")

    def __len__(self) -> int:
        return len(self.targets)


@dataclass(frozen=True)
class HospitalData:
    """What one hospital holds: rows to train on and rows to test on, never shown to others."""

    hospital: str
    train: Split
    test: Split


@dataclass(frozen=True)
class Update:
    """What a hospital sends back from one round.

    delta: the update u_i = θ_i - w, floating tensors only, names and shapes as the weights'.
    examples: training rows n_i behind it.
    steps: gradient steps taken.
    loss: mean training loss over those steps, nats per row.
    scalars: what else a rule sends, one number each.
    """

    hospital: str
    round: int
    delta: Weights
    examples: int
    steps: int
    loss: float
    scalars: Mapping[str, float] = field(default_factory=dict)
