"""A share of a round's cohort: trained in one place, checked there, and summed there if it can be.

Exact sums are associative (`federated/weights.py`), so shares may be cut in any way, and trained in
any number of processes, to the same bits. A rule that is a sum (`coefficient` and `of`) gets sums;
any other gets every update.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from federated.algorithm import Algorithm
from federated.checks import check_update
from federated.coordinator import aggregate, taking_part
from federated.errors import UpdateError
from federated.site import Site, shared
from federated.types import Aggregate, Order, Receipt, Update, Weights
from federated.weights import ExactSum, merge, term


class Sums(NamedTuple):
    """Over a share: step, Σ n_i·u_i; extra, of what else rules sent; buffers, of statistics."""

    step: ExactSum
    extra: ExactSum
    buffers: ExactSum


@dataclass(frozen=True)
class Missing:
    """An update that did not come, or was refused. why: one line."""

    hospital: str
    round: int
    why: str


@dataclass(frozen=True)
class Share:
    """receipts: one a hospital. Either sums, or the updates themselves. states: the hospitals'
    own, after the round. missing: of hospitals elsewhere (in a simulation all are there)."""

    receipts: tuple[Receipt, ...]
    sums: Sums | None
    updates: tuple[Update, ...] = ()
    states: Mapping[str, Weights] = field(default_factory=dict)
    missing: tuple[Missing, ...] = ()


def train_share(
    algorithm: Algorithm, sites: Iterable[Site], order: Order, states: Mapping[str, Weights]
) -> Share:
    """Train these hospitals one after another; no more than one update is held if they are summed.

    Raises UpdateError, naming hospital, round and tensor, and OverflowError.
    """
    parts = (_trained(algorithm, site, order, states.get(site.hospital, {})) for site in sites)
    return joined(parts)


def joined(parts: Iterable[Share]) -> Share:
    """One share of several. Raises OverflowError, naming the tensor."""
    receipts: list[Receipt] = []
    updates: list[Update] = []
    missing: list[Missing] = []
    states: dict[str, Weights] = {}
    sums: Sums | None = None
    for part in parts:
        receipts += part.receipts
        updates += part.updates
        missing += part.missing
        states |= part.states
        sums = part.sums if sums is None else _merged(sums, part.sums)
    return Share(tuple(receipts), sums, tuple(updates), states, tuple(missing))


def _trained(algorithm: Algorithm, site: Site, order: Order, state: Weights) -> Share:
    """The share of one hospital."""
    trained = site.train(order, state)
    update = check_update(trained.update, shared(order.weights, site.own), site.buffers)
    states = {update.hospital: trained.state}
    if not algorithm.sums:
        return Share((update.receipt,), None, (update,), states)
    return Share((update.receipt,), _sums(algorithm, update), (), states)


def _sums(algorithm: Algorithm, update: Update) -> Sums:
    """Of one update. Raises OverflowError, UpdateError for statistics out of the sum's range."""
    step = term(update.delta, algorithm.aggregation.coefficient(update.receipt))
    extra = term(update.tensors, algorithm.weight(update.examples))
    try:
        return Sums(step, extra, term(update.buffers, update.examples))
    except OverflowError as error:
        why = f"{error}: it is a running statistic; let inputs be scaled (data.scaling)"
        raise UpdateError(update.hospital, update.round, why) from error


def _merged(left: Sums, right: Sums | None) -> Sums:
    return left if right is None else Sums(*map(merge, left, right))


def combine(
    algorithm: Algorithm, shares: Iterable[Share], weights: Weights, examples: Mapping[str, int]
) -> Aggregate:
    """All shares of a round → one aggregate. Arguments and errors: `coordinator.aggregate`'s."""
    whole = joined(shares)
    if whole.sums is None:
        return aggregate(algorithm, whole.updates, weights, examples)
    step: Weights = algorithm.aggregation.of(whole.sums.step)
    extra, buffers = whole.sums.extra.mean(), whole.sums.buffers.mean()
    return Aggregate(step, extra, buffers, taking_part(algorithm, whole.receipts, examples))
