"""Made-up hospitals for tests: numbers from a seeded generator, no patient's row."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from federated.algorithm import Algorithm, compose
from federated.config import EvaluationConfig
from federated.initial import build
from federated.local import LocalTask
from federated.objectives.classification import ClassCounts, Classification
from federated.site import LocalSite
from federated.types import Aggregate, HospitalData, Split, Update, Weights
from models.logistic import Logistic

YES_NO = Classification(("no", "yes"))


def of_classes(classes: int) -> Classification:
    """The objective of so many classes."""
    return Classification(tuple(str(c) for c in range(classes)))


def count(
    logits: torch.Tensor, targets: torch.Tensor, classes: int, score_bins: int, bins: int
) -> ClassCounts:
    """Counts of so many classes; bins: of the calibration."""
    return of_classes(classes).count(logits, targets, score_bins, bins)


def rows(count: int, width: int, seed: int = 0) -> Split:
    """A separable yes/no question with noise."""
    drawn = np.random.default_rng(seed)
    features = drawn.normal(size=(count, width))
    chance = 1 / (1 + np.exp(-features @ np.linspace(1, -1, width)))
    targets = (drawn.random(count) < chance).astype(np.int64)
    return Split(torch.tensor(features, dtype=torch.float32), torch.tensor(targets))


def hospital(name: str, count: int = 40, width: int = 3, seed: int = 0) -> HospitalData:
    """A hospital with `count` training rows, and half as many each to test and to validate."""
    half = count // 2 + 2
    return HospitalData(
        hospital=name,
        train=rows(count, width, seed),
        test=rows(half, width, seed + 1),
        validation=rows(half, width, seed + 2),
    )


def algorithm(**rules: object) -> Algorithm:
    """FedAvg with the given rules in place of its own."""
    return replace(compose("fedavg", {}), **rules)  # type: ignore[arg-type]


def site(name: str, rules: Algorithm, count: int = 40, width: int = 3, seed: int = 0) -> LocalSite:
    """A site with a logistic model."""
    return LocalSite(
        data=hospital(name, count, width, seed),
        network=build(Logistic(), (width,), 1, run_seed=3),
        algorithm=rules,
        seed=7,
        objective=YES_NO,
        resolution=EvaluationConfig(score_bins=1000, calibration_bins=15),
    )


def task(
    network: nn.Module, weights: Weights, data: Split, steps: int, seed: int = 1, **more: Any
) -> LocalTask:
    """A local rule's work, on a yes/no question."""
    drawn = torch.Generator().manual_seed(seed)
    return LocalTask(network, weights, data, steps, drawn, YES_NO, **more)


def aggregated(step: Weights, share: float = 1.0) -> Aggregate:
    """What a server rule gets."""
    return Aggregate(step, {}, {}, share)


def update(
    name: str, values: list[float], examples: int = 1, round_: int = 1, **scalars: float
) -> Update:
    """An update of one tensor `w`."""
    delta: Weights = {"w": torch.tensor(values)}
    return Update(name, round_, delta, examples, steps=1, loss=0.5, scalars=scalars)


def updates_of(rows: np.ndarray) -> list[Update]:
    """Updates h00, h01, … of one float64 tensor `w`, one of each row of [n, d]."""
    return [
        Update(f"h{i:02d}", 1, {"w": torch.tensor(row, dtype=torch.float64)}, 1, 1, 0.5)
        for i, row in enumerate(np.asarray(rows, dtype=np.float64))
    ]
