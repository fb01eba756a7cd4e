"""Made-up hospitals for tests: numbers from a seeded generator, no patient's row."""

import numpy as np
import torch

from federated.config import EvaluationConfig
from federated.site import LocalSite
from federated.types import HospitalData, Split, Update, Weights
from models.logistic import Logistic


def rows(count: int, width: int, seed: int = 0) -> Split:
    """A separable yes/no question with noise."""
    drawn = np.random.default_rng(seed)
    features = drawn.normal(size=(count, width))
    chance = 1 / (1 + np.exp(-features @ np.linspace(1, -1, width)))
    targets = (drawn.random(count) < chance).astype(np.int64)
    return Split(torch.tensor(features, dtype=torch.float32), torch.tensor(targets))


def hospital(name: str, count: int = 40, width: int = 3, seed: int = 0) -> HospitalData:
    """A hospital with `count` training rows and half as many test rows."""
    return HospitalData(name, rows(count, width, seed), rows(count // 2 + 2, width, seed + 1))


def site(name: str, rule: object, count: int = 40, width: int = 3, seed: int = 0) -> LocalSite:
    """A site with a logistic model."""
    return LocalSite(
        data=hospital(name, count, width, seed),
        network=Logistic().build((width,), 2),
        rule=rule,
        seed=7,
        classes=2,
        resolution=EvaluationConfig(score_bins=1000, calibration_bins=15),
    )


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
