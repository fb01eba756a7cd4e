"""Rounds whose orders and updates travel as messages end with the same bytes as a simulation."""

from dataclasses import replace

import pytest
import torch

from federated.algorithm import Algorithm, compose
from federated.checks import check_update
from federated.coordinator import aggregate
from federated.errors import WardroundError
from federated.federation import Standing, advance, begin, learning, order, simulate
from federated.site import LocalSite, shared
from federated.types import Update, Weights
from federated.weights import digest, floating, to_bytes
from tasks.exchange.admission import Accepted, Admitted, Awaited, Expected, accept_order, admit
from tasks.exchange.envelope import new_nonce
from tasks.exchange.messages import of_order, of_update, order_template, update_template
from tests.federated.quadratic import hospitals, sites, start
from tests.tasks.exchange.traffic import COORDINATOR, NORTH, UPDATE

ROUNDS = 3


def rules(name: str) -> Algorithm:
    return compose(name, {"local": {"lr": 0.02, "steps": 2, "batch_size": None}})


def one_round(
    ours: Algorithm, members: dict[str, LocalSite], now: Standing
) -> tuple[list[Update], dict[str, Weights]]:
    """Each hospital's update and state, with two messages between it and the coordinator."""
    sends = floating(now.weights) if ours.names["local"] == "scaffold" else {}
    orders = of_order(order(ours, now, ROUNDS), "r", {h: new_nonce() for h in members}, COORDINATOR)
    updates, kept = [], {}
    for hospital, site in members.items():
        form = order_template(now.weights, {k: t.float() for k, t in sends.items()})
        awaited = Awaited("r", hospital, now.round, COORDINATOR.public, form)
        accepted = accept_order(orders.sealed[hospital], orders.payload, awaited)
        assert isinstance(accepted, Accepted)
        trained = site.train(accepted.order, now.of(hospital))
        message = of_update(trained.update, "r", accepted.base, new_nonce(), NORTH)
        expected = Expected(
            run="r",
            round=now.round + 1,
            hospital=hospital,
            base=digest(to_bytes(now.weights)),
            key=NORTH.public,
            template=update_template(shared(now.weights, site.own), sends, {}),
            max_examples=len(site.data.train),
            used=frozenset(),
            scalars=ours.needs,
        )
        admitted = admit(message.sealed, message.payload, expected)
        assert isinstance(admitted, Admitted)
        updates.append(check_update(admitted.update, shared(now.weights, site.own), site.buffers))
        kept[hospital] = trained.state
    return updates, kept


@pytest.mark.parametrize("name", ["fedavg", "scaffold", "fednova", "qfedavg", "median", "bf16"])
def test_rounds_by_messages_are_the_simulations(name: str) -> None:
    ours = rules(name)
    members = {site.hospital: site for site in sites(hospitals(), ours)}
    now = begin(ours, start())
    for _ in range(ROUNDS):
        updates, kept = one_round(ours, members, now)
        now = advance(ours, now, kept, aggregate(ours, updates, now.weights, learning(members)))
    whole = simulate(ours, members, start(), ROUNDS, seed=0)
    assert to_bytes(now.weights) == to_bytes(whole.weights)
    assert not torch.equal(*(next(iter(w.values())) for w in (now.weights, start())))


def test_a_name_that_cannot_travel_is_refused_by_the_sender() -> None:
    with pytest.raises(WardroundError, match="hospital is 'St Mary', not"):
        of_update(replace(UPDATE, hospital="St Mary"), "r", "0" * 64, new_nonce(), NORTH)
