"""The frozen records that cross every border between hospitals, rules and rounds."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from torch import Tensor

Weights = dict[str, Tensor]
"""A model's state: name of tensor → tensor, as `nn.Module.state_dict` gives it."""


@dataclass(frozen=True)
class Split:
    """Model-ready rows of one hospital.

    features: float32 [n, ...], finite.
    targets: classes int64 [n], index; labels float64 [n, L], 0 or 1; a value float64 [n]; survival
        float64 [n, 2], time and event (`federated/objectives/`).
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
    """What one hospital holds: rows to train on, to test on and to choose a round by.

    Never shown to others. validation: neither training nor test rows, possibly none.
    """

    hospital: str
    train: Split
    test: Split
    validation: Split


@dataclass(frozen=True)
class RowCounts:
    """How many rows a hospital has of each use.

    examples: n_i, what its mean loss is over: training rows, or those of them that the objective
    learns from (`Objective.examples`). A hospital of 0 does not train.
    """

    train: int
    validation: int
    test: int
    examples: int


@dataclass(frozen=True)
class Order:
    """What the coordinator sends a hospital for one round.

    weights: the global model w. extra: what else the server rule broadcasts (SCAFFOLD's control
    variate). rate: factor of the local step size in this round (the schedule's).
    """

    round: int
    weights: Weights
    extra: Weights = field(default_factory=dict)
    rate: float = 1.0


@dataclass(frozen=True)
class Receipt:
    """What stays known of an update once it is summed; the fields are `Update`'s."""

    hospital: str
    round: int
    examples: int
    steps: int
    loss: float
    scalars: Mapping[str, float]
    sent: int


@dataclass(frozen=True)
class Update:
    """What a hospital sends back from one round.

    delta: the update u_i = θ_i - w of the shared parameters, names and shapes as the weights'.
    examples: n_i behind it, as in `RowCounts`.
    steps: gradient steps taken.
    loss: mean training loss over those steps, nats per row.
    buffers: the shared running statistics as training left them. They are measured, not trained:
        no step is taken with them, they are neither scaled nor compressed.
    tensors: what else the local rule sends (SCAFFOLD's change of control variate).
    scalars: what else the aggregation asks for, one number each.
    sent: bytes of all these tensors and scalars as they were encoded.
    """

    hospital: str
    round: int
    delta: Weights
    examples: int
    steps: int
    loss: float
    tensors: Weights = field(default_factory=dict)
    scalars: Mapping[str, float] = field(default_factory=dict)
    sent: int = 0
    buffers: Weights = field(default_factory=dict)

    @property
    def receipt(self) -> Receipt:
        """All but the tensors."""
        names = [f.name for f in fields(Receipt)]
        return Receipt(**{name: getattr(self, name) for name in names})


@dataclass(frozen=True)
class Trained:
    """A hospital's round: what it sends, and its own state, which stays with it."""

    update: Update
    state: Weights


@dataclass(frozen=True)
class Aggregate:
    """What a round's updates became, for the server's step.

    step: one step for the shared parameters; extra: the cohort's mean of `Update.tensors`, weighted
    as the updates; buffers: the new running statistics. All float64.
    share: the cohort's part of the whole federation's weight, in (0, 1]: |S|/N where hospitals
    count alike.
    """

    step: Weights
    extra: Weights
    buffers: Weights
    share: float
