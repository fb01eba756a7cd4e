"""Baselines against gradient descent in numpy, and apart from the sites they read."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from federated.algorithm import Algorithm, compose
from federated.baselines import train_alone, train_pooled
from federated.initial import weights_of
from federated.site import LocalSite
from federated.types import Split, Weights
from tests.federated.make import site

FULL_BATCH: dict[str, Any] = {"lr": 0.3, "epochs": 1, "batch_size": None}
STEPS = 5


def federation() -> tuple[Algorithm, list[LocalSite], Weights]:
    algorithm = compose("fedavg", {"local": FULL_BATCH})
    sites = [site(name, algorithm, count=20 + 7 * i, seed=i) for i, name in enumerate("abc")]
    return algorithm, sites, weights_of(sites[0].network)


def arrays(rows: Split) -> tuple[np.ndarray, np.ndarray]:
    """Features with a column of ones, and targets."""
    features = rows.features.double().numpy()
    return np.column_stack([features, np.ones(len(features))]), rows.targets.numpy()


def gradient_descent(splits: Sequence[Split], begin: Weights) -> np.ndarray:
    """Full-batch logistic regression on all rows of `splits`, in float64; bias last."""
    pairs = [arrays(split) for split in splits]
    x, y = np.concatenate([p[0] for p in pairs]), np.concatenate([p[1] for p in pairs])
    theta = np.append(begin["1.weight"].double().numpy().ravel(), begin["1.bias"].double())
    for _ in range(STEPS):
        theta -= FULL_BATCH["lr"] * x.T @ (1 / (1 + np.exp(-x @ theta)) - y) / len(x)
    return theta


def mean_loss(theta: np.ndarray, rows: Split) -> float:
    x, y = arrays(rows)
    return float(np.mean(np.logaddexp(0, x @ theta) - y * (x @ theta)))


def test_alone_is_gradient_descent_on_the_hospitals_own_rows() -> None:
    algorithm, (one, *_), begin = federation()
    found = train_alone(one, algorithm, begin, STEPS, 3)
    assert (found.steps, list(found.counts)) == (STEPS, ["a"])
    own = gradient_descent([one.data.train], begin)
    loss = found.counts["a"].loss / 2**32 / found.counts["a"].rows
    assert loss == pytest.approx(mean_loss(own, one.data.test), abs=1e-5)


def test_pooled_is_gradient_descent_on_all_rows() -> None:
    algorithm, sites, begin = federation()
    found = train_pooled(sites, algorithm, begin, STEPS, 3)
    pooled = gradient_descent([one.data.train for one in sites], begin)
    for one in sites:
        counts = found.counts[one.hospital]
        expected = mean_loss(pooled, one.data.test)
        assert counts.loss / 2**32 / counts.rows == pytest.approx(expected, abs=1e-5)


def test_pooled_writes_to_no_site_so_that_each_may_train_meanwhile() -> None:
    algorithm, sites, begin = federation()
    before = [weights_of(one.network) for one in sites]
    train_pooled(sites, algorithm, begin, STEPS, 3)
    for one, kept in zip(sites, before, strict=True):
        assert all(torch.equal(kept[k], t) for k, t in one.network.state_dict().items())
