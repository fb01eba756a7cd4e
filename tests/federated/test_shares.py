"""A cohort cut into shares in any way gives the bits of the whole."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from federated.algorithm import Algorithm, compose
from federated.coordinator import aggregate
from federated.errors import UpdateError
from federated.shares import Share, combine, joined, train_share
from federated.types import Order, Weights
from tests.federated import make
from tests.federated.quadratic import hospitals, sites, start

NAMES = ["fedavg", "local_sgd", "sum", "scaffold", "median", "fednova", "norm_clipping"]

FOUR = {site.hospital: site.rows.examples for site in sites(hospitals(), compose("fedavg", {}))}


def rules(name: str) -> Algorithm:
    local = {"lr": 0.02} if name == "sum" else {"lr": 0.02, "steps": 2, "batch_size": None}
    return compose(name, {"local": local})


def orders(ours: Algorithm) -> Order:
    weights = start()
    return Order(1, weights, ours.server.broadcast(ours.server.init(weights)))


def same(left: Weights, right: Weights) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[k], right[k]) for k in left)


@pytest.mark.parametrize("name", NAMES)
def test_two_shares_are_one(name: str) -> None:
    ours, order = rules(name), orders(rules(name))
    members = sites(hospitals(), ours)
    whole = train_share(ours, members, order, {})
    parts = [train_share(ours, half, order, {}) for half in (members[2:], members[:2])]
    one, other = (combine(ours, cut, order.weights, FOUR) for cut in ([whole], parts))
    assert same(one.step, other.step)
    assert same(one.extra, other.extra)
    assert (one.share, other.share) == (1.0, 1.0)
    assert same_states(whole, joined(parts))


def same_states(left: Share, right: Share) -> bool:
    return all(same(left.states[h], right.states[h]) for h in left.states)


@pytest.mark.parametrize("name", NAMES)
def test_shares_are_what_the_aggregation_makes_of_updates(name: str) -> None:
    ours, order = rules(name), orders(rules(name))
    members = sites(hospitals(), ours)
    updates = [site.train(order, {}).update for site in members]
    found = combine(ours, [train_share(ours, members, order, {})], order.weights, FOUR)
    assert same(found.step, aggregate(ours, updates, order.weights, FOUR).step)


def test_sums_hold_no_update_and_other_rules_hold_each() -> None:
    members = sites(hospitals(), rules("fedavg"))
    share = train_share(rules("fedavg"), members, orders(rules("fedavg")), {})
    assert share.updates == ()
    assert [r.hospital for r in share.receipts] == ["h0", "h1", "h2", "h3"]
    apart = train_share(rules("median"), members, orders(rules("median")), {})
    assert apart.sums is None
    assert [u.hospital for u in apart.updates] == ["h0", "h1", "h2", "h3"]


@settings(max_examples=20, deadline=None)
@given(cuts=st.lists(st.integers(0, 4), max_size=3))
def test_any_cut_gives_the_same_bits(cuts: Sequence[int]) -> None:
    ours, order = rules("fedavg"), orders(rules("fedavg"))
    members = sites(hospitals(), ours)
    edges = [0, *sorted(cuts), 4]
    parts = [members[a:b] for a, b in pairwise(edges) if a < b]
    found = combine(
        ours, [train_share(ours, part, order, {}) for part in parts], order.weights, FOUR
    )
    whole = combine(ours, [train_share(ours, members, order, {})], order.weights, FOUR)
    assert same(found.step, whole.step)


def test_an_update_with_nan_is_refused_by_name() -> None:
    ours = compose("fedavg", {"local": {"lr": 1e30, "steps": 3}})
    ill = make.site("south", ours)
    weights = {k: t.clone() for k, t in ill.network.state_dict().items()}
    with pytest.raises((UpdateError, OverflowError), match=r"south|too large"):
        train_share(ours, [ill], Order(2, weights), {})
