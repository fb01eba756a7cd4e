"""What the federation is compared with, given the same number of gradient steps.

alone: one hospital as the only member of the federation, the same algorithm and rounds.
pooled: all training rows in one place (only a simulation can), as many steps as all hospitals
took together.
"""

from dataclasses import dataclass, replace

import torch

from federated.algorithm import Algorithm
from federated.checks import check_update
from federated.counts import Counts
from federated.site import LocalSite
from federated.types import Split, Weights


@dataclass(frozen=True)
class Baseline:
    """counts: test counts by hospital; steps: gradient steps taken."""

    counts: dict[str, Counts]
    steps: int


def train_alone(site: LocalSite, algorithm: Algorithm, weights: Weights, steps: int) -> Baseline:
    """`site` trains by itself for `steps` gradient steps; evaluated on its own test rows."""
    trained = _train(site, algorithm, weights, steps)
    return Baseline({site.hospital: site.evaluate(trained)}, steps)


def train_pooled(
    sites: list[LocalSite], algorithm: Algorithm, weights: Weights, steps: int
) -> Baseline:
    """One site with every hospital's training rows; evaluated on each hospital's test rows.

    Nothing of `sites` is written to: each may train by itself meanwhile.
    """
    pool = _pool(sites)
    trained = _train(pool, algorithm, weights, steps)
    return Baseline(
        {s.hospital: replace(pool, data=s.data).evaluate(trained) for s in sites}, steps
    )


def _train(site: LocalSite, algorithm: Algorithm, weights: Weights, steps: int) -> Weights:
    """Rounds of the algorithm with `site` as the only hospital until `steps` are taken."""
    state = algorithm.server.init(weights)
    taken = 0
    number = 0
    while taken < steps:
        number += 1
        update = check_update(site.train(number, weights, steps - taken), weights)
        step = algorithm.aggregation.aggregate([update])
        weights, state = algorithm.server.apply(weights, step, state)
        taken += update.steps
    return weights


def _pool(sites: list[LocalSite]) -> LocalSite:
    """One site with every hospital's training rows; its other rows are set before it evaluates."""
    rows = Split(
        torch.cat([s.data.train.features for s in sites]),
        torch.cat([s.data.train.targets for s in sites]),
    )
    data = replace(sites[0].data, hospital="all data pooled", train=rows)
    return replace(sites[0], data=data)
