"""A hospital as the coordinator sees it: it trains, and it evaluates. No rows come out of it.

`LocalSite` does both here, in this process (simulation). The flow knows only `Site`.
"""

import copy
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import nn

from federated.config import EvaluationConfig
from federated.counts import Counts
from federated.objectives import Objective
from federated.seeds import generator
from federated.types import HospitalData, Split, Update, Weights

_EVALUATION_BATCH = 1024


class Site(Protocol):
    """One hospital in a federation."""

    @property
    def hospital(self) -> str:
        """Its name."""

    def train(self, round_: int, weights: Weights) -> Update:
        """Train from `weights` on the hospital's own training rows."""

    def evaluate(self, weights: Weights) -> Counts:
        """Mergeable counts over the hospital's own test rows."""


@dataclass(frozen=True)
class LocalSite:
    """A hospital whose rows are in this process.

    network: private scratch space of this site; `weights` are loaded into it before every use.
        One use at a time: for two at once, `dataclasses.replace` gives a copy with its own.
    rule: the local plug-in. seed: the run's seed.
    """

    data: HospitalData
    network: nn.Module
    rule: Any
    seed: int
    objective: Objective
    resolution: EvaluationConfig
    hospital: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "hospital", self.data.hospital)
        object.__setattr__(self, "network", copy.deepcopy(self.network))

    def train(self, round_: int, weights: Weights, steps: int | None = None) -> Update:
        """One round of local training; `steps` cuts it short.

        One thread: a CNN's bits depend on the number of threads. The generator depends on
        (seed, round, hospital) alone, so neither order nor a restart changes a batch.
        """
        torch.set_num_threads(1)
        rows = self.data.train
        full = self.rule.step_count(len(rows))
        drawn = generator("local", self.seed, round_, self.hospital)
        taken = full if steps is None else min(steps, full)
        result = self.rule.train(self.network, weights, rows, self.objective, taken, drawn)
        return Update(
            hospital=self.hospital,
            round=round_,
            delta=result.delta,
            examples=len(rows),
            steps=result.steps,
            loss=result.loss,
        )

    def evaluate(self, weights: Weights) -> Counts:
        """Counts of the model `weights` over this hospital's test rows."""
        return evaluate(self.network, weights, self.data.test, self.objective, self.resolution)


def evaluate(
    network: nn.Module,
    weights: Weights,
    rows: Split,
    objective: Objective,
    resolution: EvaluationConfig,
) -> Counts:
    """Counts over `rows`, with one thread and without gradients."""
    torch.set_num_threads(1)
    network.load_state_dict(weights)
    network.eval()
    with torch.inference_mode():
        parts = [network(x) for x in torch.split(rows.features, _EVALUATION_BATCH)]
    return objective.count(
        torch.cat(parts), rows.targets, resolution.score_bins, resolution.calibration_bins
    )
