"""A federation as arithmetic: who takes part, what they get, and where it stands after a round.

The flow gives each step a Prefect task and keeps a journal; `simulate` does the same rounds one
after another and keeps nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from federated.algorithm import Algorithm
from federated.coordinator import apply
from federated.errors import DataError
from federated.seeds import generator
from federated.selection import Candidates
from federated.shares import combine, train_share
from federated.site import LocalSite, Site
from federated.types import Aggregate, Order, Weights


@dataclass(frozen=True)
class Standing:
    """Where a federation stands after a round.

    server: the server rule's state. states: hospital → its own state, which it never sends.
    """

    round: int
    weights: Weights
    server: Weights
    states: dict[str, Weights]

    def of(self, hospital: str) -> Weights:
        """A hospital's own state, empty before its first round."""
        return self.states.get(hospital, {})


def begin(algorithm: Algorithm, weights: Weights) -> Standing:
    """Before the first round."""
    return Standing(0, weights, algorithm.server.init(weights), {})


def learning(sites: Mapping[str, Site]) -> dict[str, int]:
    """Hospital → its examples n_i, of all that have any to learn from; the others only evaluate.

    Raises DataError where nobody has.
    """
    counted = {h: site.rows.examples for h, site in sites.items()}
    found = {h: n for h, n in counted.items() if n > 0}
    if not found:
        raise DataError(
            "no hospital has a training row to learn from: with a time to an event as target, a "
            "row with an event; check data.source"
        )
    return found


def select(algorithm: Algorithm, sites: Mapping[str, Site], now: Standing, seed: int) -> list[str]:
    """The cohort of the next round, of hospitals that learn. seed: the run's."""
    examples = learning(sites)
    candidates = Candidates(
        hospitals=tuple(examples),
        examples=examples,
        round=now.round + 1,
        seed=seed,
        loss=lambda h: sites[h].loss(now.weights, now.of(h)),
    )
    drawn = generator("selection", seed, now.round + 1)
    cohort: list[str] = algorithm.selection.select(candidates, drawn)
    return cohort


def order(algorithm: Algorithm, now: Standing, rounds: int) -> Order:
    """What every hospital of the next round's cohort gets; rounds: of the whole run."""
    number = now.round + 1
    rate = algorithm.schedule.factor(number, rounds)
    return Order(number, now.weights, algorithm.server.broadcast(now.server), rate)


def advance(
    algorithm: Algorithm, now: Standing, states: Mapping[str, Weights], combined: Aggregate
) -> Standing:
    """Where the federation stands after the server's step. states: of the round's cohort."""
    weights, server = apply(algorithm, now.weights, combined, now.server)
    return Standing(now.round + 1, weights, server, {**now.states, **states})


def simulate(
    algorithm: Algorithm, sites: Mapping[str, LocalSite], weights: Weights, rounds: int, seed: int
) -> Standing:
    """All rounds, one hospital after another: the same bytes as the flow's.

    Raises UpdateError, naming hospital and round, where training diverges.
    """
    now = begin(algorithm, weights)
    for _ in range(rounds):
        cohort = [sites[h] for h in select(algorithm, sites, now, seed)]
        share = train_share(algorithm, cohort, order(algorithm, now, rounds), now.states)
        combined = combine(algorithm, [share], now.weights, learning(sites))
        now = advance(algorithm, now, share.states, combined)
    return now
