"""What the federation is compared with, given the same number of gradient steps.

alone: one hospital as the only member of the federation, the same algorithm and rounds, but for
what only several hospitals give a meaning to (see `lonely`).
pooled: all training rows in one place (only a simulation can), as many steps as all hospitals
took together.
plain: the same federation with the plain mean in place of a robust rule: what robustness costs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch

from federated.aggregation.mean import Mean
from federated.algorithm import Algorithm
from federated.checks import check_update
from federated.compression.identity import Identity as Uncompressed
from federated.coordinator import aggregate, apply
from federated.counts import Counts
from federated.federation import simulate
from federated.local.rep import Rep
from federated.personal.shared import Shared
from federated.preaggregation.identity import Identity
from federated.site import LocalSite, shared
from federated.types import Order, Split, Weights


@dataclass(frozen=True)
class Baseline:
    """counts: test counts by hospital; steps: gradient steps taken, 0 where nobody counted."""

    counts: dict[str, Counts]
    steps: int


def lonely(algorithm: Algorithm) -> Algorithm:
    """The algorithm of a hospital by itself: robust rules have nothing to compare, no part of the
    model is personal, and no update is sent."""
    return replace(
        algorithm,
        aggregation=Mean() if algorithm.robust else algorithm.aggregation,
        preaggregation=Identity(),
        compression=Uncompressed(),
        personal=Shared(),
        local=algorithm.local.whole() if isinstance(algorithm.local, Rep) else algorithm.local,
    )


def train_alone(
    site: LocalSite, algorithm: Algorithm, weights: Weights, steps: int, rounds: int
) -> Baseline:
    """`site` trains by itself for `steps` gradient steps; evaluated on its own test rows.

    rounds: of the federation, over which the schedule runs.
    """
    single = replace(site, algorithm=lonely(algorithm))
    trained = _train(single, weights, steps, rounds)
    return Baseline({site.hospital: single.evaluate(trained, {}).test}, steps)


def train_pooled(
    sites: list[LocalSite], algorithm: Algorithm, weights: Weights, steps: int, rounds: int
) -> Baseline:
    """One site with every hospital's training rows; evaluated on each hospital's test rows.

    Nothing of `sites` is written to: each may train by itself meanwhile.
    """
    pool = replace(_pool(sites), algorithm=lonely(algorithm))
    trained = _train(pool, weights, steps, rounds)
    each = {s.hospital: replace(pool, data=s.data).evaluate(trained, {}).test for s in sites}
    return Baseline(each, steps)


def train_plain(
    sites: Mapping[str, LocalSite], algorithm: Algorithm, weights: Weights, rounds: int, seed: int
) -> Baseline:
    """The federation again, its robust rules replaced by the mean; evaluated at every hospital.

    Nothing of `sites` is written to. Raises UpdateError where training diverges.
    """
    trusting = replace(algorithm, aggregation=Mean(), preaggregation=Identity())
    own = {h: replace(site, algorithm=trusting) for h, site in sites.items()}
    final = simulate(trusting, own, weights, rounds, seed)
    counts = {h: site.evaluate(final.weights, final.of(h)).test for h, site in own.items()}
    return Baseline(counts, 0)


def _train(site: LocalSite, weights: Weights, steps: int, rounds: int) -> Weights:
    """Rounds of the algorithm with `site` as the only hospital until `steps` are taken."""
    algorithm = site.algorithm
    state: Weights = {}
    server = algorithm.server.init(weights)
    taken = number = 0
    while taken < steps:
        number += 1
        rate = algorithm.schedule.factor(min(number, rounds), rounds)
        order = Order(number, weights, algorithm.server.broadcast(server), rate)
        trained = site.train(order, state, steps - taken)
        update = check_update(trained.update, shared(weights, site.own), site.buffers)
        combined = aggregate(algorithm, [update], weights, {site.hospital: update.examples})
        weights, server = apply(algorithm, weights, combined, server)
        state = trained.state
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
