"""Hospitals of unlike sizes with a question of two or more classes, for batched training."""

from typing import Any

import numpy as np
import torch

from federated.algorithm import Algorithm
from federated.config import EvaluationConfig
from federated.initial import build
from federated.objectives.classification import Classification
from federated.site import LocalSite
from federated.types import HospitalData, Split

SIZES = {"a": 13, "b": 20, "c": 7}
WIDTH = 5


def classified(model: Any, classes: int, rules: Algorithm) -> list[LocalSite]:
    """Hospitals a, b and c with 13, 20 and 7 training rows."""
    objective = Classification(tuple(str(c) for c in range(classes)))
    drawn = np.random.default_rng(classes)
    directions = drawn.normal(size=(WIDTH, classes))
    sites = []
    for name, rows in SIZES.items():
        features = drawn.normal(size=(rows, WIDTH))
        truth = torch.tensor((features @ directions).argmax(axis=1))
        split = Split(torch.tensor(features, dtype=torch.float32), truth)
        none = Split(split.features[:0], split.targets[:0])
        sites.append(
            LocalSite(
                data=HospitalData(hospital=name, train=split, test=split, validation=none),
                network=build(model, (WIDTH,), objective.outputs, run_seed=2),
                algorithm=rules,
                seed=7,
                objective=objective,
                resolution=EvaluationConfig(score_bins=100, calibration_bins=10),
            )
        )
    return sites
