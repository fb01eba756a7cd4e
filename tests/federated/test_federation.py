"""A federation's steps as arithmetic, on hospitals whose every number is known."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from federated.algorithm import Algorithm, compose
from federated.coordinator import aggregate
from federated.federation import Standing, advance, begin, order, select, simulate
from federated.seeds import generator
from federated.selection import Candidates
from tests.federated.make import update
from tests.federated.quadratic import federate, hospitals, sites, start, vector

LOCAL: dict[str, Any] = {"lr": 0.02, "steps": 4, "batch_size": None}


def rules(name: str = "fedavg", **more: Any) -> Algorithm:
    return compose(name, {"local": LOCAL, **more})


def test_before_the_first_round() -> None:
    weights = {"w": torch.ones(2)}
    now = begin(rules("fedavgm"), weights)
    assert (now.round, now.weights, now.states) == (0, weights, {})
    assert now.server["v.w"].tolist() == [0, 0]
    assert now.of("a") == {}


def test_an_order_is_of_the_next_round() -> None:
    stepped = rules(schedule={"name": "step", "every": 2, "gamma": 0.5})
    now = Standing(2, {"w": torch.ones(1)}, {}, {})
    given = order(stepped, now, 10)
    assert (given.round, given.rate, given.weights) == (3, 0.5, now.weights)  # the third round
    assert order(stepped, begin(stepped, now.weights), 10).rate == 1.0


def test_cohorts_differ_by_round_and_repeat() -> None:
    drawing = rules(selection={"name": "uniform", "fraction": 0.5})
    members = {s.data.hospital: s for s in sites(hospitals(), drawing)}
    cohorts = [select(drawing, members, Standing(r, start(), {}, {}), seed=1) for r in range(8)]
    again = [select(drawing, members, Standing(r, start(), {}, {}), seed=1) for r in range(8)]
    assert cohorts == again
    assert len({tuple(c) for c in cohorts}) > 1
    cyclic = rules("cyclic")
    turns = [select(cyclic, members, Standing(r, start(), {}, {}), seed=1) for r in range(5)]
    assert sorted(h for (h,) in turns[:4]) == ["h0", "h1", "h2", "h3"]
    assert turns[4] == turns[0]


def test_the_selection_is_told_of_the_next_round() -> None:
    seen: list[tuple[int, int]] = []

    class Noted:
        """Selects all, and notes the round and the generator's seed."""

        def select(self, candidates: Candidates, drawn: torch.Generator) -> list[str]:
            seen.append((candidates.round, drawn.initial_seed()))
            return list(candidates.hospitals)

    noting = replace(rules(), selection=Noted())
    members = {s.data.hospital: s for s in sites(hospitals(), noting)}
    assert select(noting, members, Standing(2, start(), {}, {}), seed=7) == [*members]
    assert seen == [(3, generator("selection", 7, 3).initial_seed())]


def test_after_a_round() -> None:
    kept = {"x": torch.ones(1)}
    now = Standing(4, {"w": torch.tensor([1.0])}, {}, {"b": kept, "a": kept})
    new = {"x": torch.zeros(1)}
    both = [update("a", [2.0], round_=5), update("c", [4.0])]
    mean = aggregate(rules(), both, now.weights, dict.fromkeys("abc", 1))
    after = advance(rules(), now, {"a": new, "c": new}, mean)
    assert (after.round, after.weights["w"].tolist()) == (5, [4.0])  # 1 + (2 + 4)/2
    assert after.states == {"a": new, "b": kept, "c": new}


@pytest.mark.parametrize("name", ["fedavg", "scaffold", "fedavgm"])
def test_simulated_rounds_are_those_by_hand(name: str) -> None:
    ours = rules(name)
    members = sites(hospitals(), ours)
    found = simulate(ours, {s.data.hospital: s for s in members}, start(), 3, seed=1)
    seen = federate(ours, members, start(), [[0, 1, 2, 3]] * 3)
    assert found.round == 3
    assert vector(found.weights).tolist() == seen[-1].tolist()
