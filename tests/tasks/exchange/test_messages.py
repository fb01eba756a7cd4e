"""Rounds whose orders and updates travel as messages end with the same bytes as a simulation."""

from dataclasses import replace

import pytest
import torch

from federated.algorithm import Algorithm, compose
from federated.checks import check_update
from federated.coordinator import aggregate
from federated.errors import WardroundError
from federated.federation import Standing, advance, begin, learning, order, simulate
from federated.initial import weights_of
from federated.site import LocalSite, shared
from federated.types import Update, Weights
from federated.weights import digest, to_bytes
from tasks.engine.sites import sends_of
from tasks.exchange.admission import Accepted, Admitted, Awaited, Expected, accept_order, admit
from tasks.exchange.envelope import new_nonce
from tasks.exchange.messages import of_order, of_update, order_template
from tests.federated.quadratic import hospitals, sites, start
from tests.federated.test_buffers import members as with_batch_norm
from tests.tasks.exchange.traffic import COORDINATOR, NORTH, UPDATE

ROUNDS = 3


def rules(name: str) -> Algorithm:
    return compose(name, {"local": {"lr": 0.02, "steps": 2, "batch_size": None}})


def one_round(
    ours: Algorithm, members: dict[str, LocalSite], now: Standing
) -> tuple[list[Update], dict[str, Weights]]:
    """Each hospital's update and state, with two messages between it and the coordinator."""
    network = next(iter(members.values())).network
    extra = {k: now.weights[k].float() for k, _ in network.named_parameters()}
    orders = of_order(order(ours, now, ROUNDS), "r", {h: new_nonce() for h in members}, COORDINATOR)
    updates, kept = [], {}
    for hospital, site in members.items():
        form = order_template(now.weights, extra)
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
            template=sends_of(ours, network),
            max_examples=len(site.data.train),
            used=frozenset(),
            scalars=ours.needs,
        )
        admitted = admit(message.sealed, message.payload, expected)
        assert isinstance(admitted, Admitted)
        updates.append(check_update(admitted.update, shared(now.weights, site.own), site.buffers))
        kept[hospital] = trained.state
    return updates, kept


NAMES = ["fedavg", "scaffold", "fednova", "qfedavg", "median", "bf16"]


@pytest.mark.parametrize("normalised", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_rounds_by_messages_are_the_simulations(name: str, normalised: bool) -> None:
    ours = rules(name)
    plain = {site.hospital: site for site in sites(hospitals(), ours)}
    members = with_batch_norm(ours) if normalised else plain
    first = weights_of(next(iter(members.values())).network) if normalised else start()
    now = begin(ours, first)
    for _ in range(ROUNDS):
        updates, kept = one_round(ours, members, now)
        now = advance(ours, now, kept, aggregate(ours, updates, now.weights, learning(members)))
    whole = simulate(ours, members, first, ROUNDS, seed=next(iter(members.values())).seed)
    assert to_bytes(now.weights) == to_bytes(whole.weights)
    assert not torch.equal(*(next(iter(w.values())) for w in (now.weights, first)))


def test_a_name_that_cannot_travel_is_refused_by_the_sender() -> None:
    with pytest.raises(WardroundError, match="hospital is 'St Mary', not"):
        of_update(replace(UPDATE, hospital="St Mary"), "r", "0" * 64, new_nonce(), NORTH)
