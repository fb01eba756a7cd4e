"""Algorithms are put together from rules: presets, choices over them, and what cannot be."""

from typing import Any

import pytest
import torch

from federated import plugins
from federated.algorithm import DEFAULTS, KINDS, PRESETS, compose
from federated.coordinator import aggregate, check_size
from federated.errors import ConfigError, UpdateError
from federated.selection import Candidates
from federated.types import Update
from tests.federated import make
from tests.federated.quadratic import Hospital, federate, hospitals, sites, start

LAYERED = {"fedbn", "fedper", "fedrep"}


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_made_of_the_rules_it_names(name: str) -> None:
    rules = compose(name, {})
    assert rules.name == rules.label == name
    for kind in KINDS:
        wanted = PRESETS[name].get(kind, {}).get("name", DEFAULTS[kind])
        assert rules.names[kind] == wanted
        assert type(getattr(rules, kind)) is plugins.find(f"federated.{kind}", wanted)
        for option, value in PRESETS[name].get(kind, {}).items():
            assert option == "name" or getattr(getattr(rules, kind), option) == value


@pytest.mark.parametrize("name", sorted(PRESETS.keys() - LAYERED))
def test_every_preset_lowers_the_loss(name: str) -> None:
    rules, one = compose(name, {}), hospitals([140])[0]
    all_ = [Hospital(one.x[i::7], one.y[i::7]) for i in range(7)]
    before = sum(h.loss(start()["0.weight"].numpy().ravel()) for h in all_)
    cohorts = []
    for number in range(1, 9):
        names = tuple(f"h{i}" for i in range(7))
        given = Candidates(names, dict.fromkeys(names, 20), number, 0, lambda h: float(h[1:]))
        drawn = torch.Generator().manual_seed(number)
        cohorts.append([names.index(h) for h in rules.selection.select(given, drawn)])
    end = federate(rules, sites(all_, rules), start(), cohorts)[-1]
    assert sum(h.loss(end) for h in all_) < before


def test_choices_stand_over_a_preset_and_null_leaves_it() -> None:
    rules = compose("local_sgd", {"local": {"steps": 3, "lr": 0.5}, "aggregation": {"name": None}})
    assert (rules.local.steps, rules.local.lr) == (3, 0.5)
    assert rules.aggregation.weighted_by == "hospitals"
    assert compose("local_sgd", {"local": {"steps": None}}).local.steps == 10
    assert (
        compose("fedavg", {"local": {"steps": None, "batch_size": None}}).local.batch_size is None
    )


def test_the_label_names_what_is_not_the_presets_own() -> None:
    rules = compose("fedprox", {"aggregation": {"name": "median"}, "server": {"name": "adam"}})
    assert rules.label == "fedprox (aggregation median, server adam)"
    assert rules.robust
    assert not compose("fedavg", {}).robust
    assert compose("fedavg", {"preaggregation": {"name": "nnm"}}).robust
    assert compose("fedavg", {}).needs == frozenset()
    assert compose("fednova", {}).needs == {"normaliser"}


@pytest.mark.parametrize(
    ("name", "choices", "message"),
    [
        ("fedavgg", {}, "no algorithm is called 'fedavgg'; did you mean 'fedavg"),
        ("fedavg", {"server": {"name": "adamm"}}, "no server is called 'adamm'"),
        ("fedavg", {"local": {"lrr": 1.0}}, r"unknown key algorithm\.local\.lrr"),
        (
            "fedavg",
            {"local": {"name": "scaffold"}},
            r"algorithm\.local\.name scaffold works with algorithm\.server\.name scaffold alone "
            r"\(got sgd\)",
        ),
        (
            "fedavg",
            {"server": {"name": "dyn"}},
            r"algorithm\.server\.name dyn works with algorithm\.local\.name dyn alone \(got sgd\)",
        ),
        (
            "scaffold",
            {"server": {"name": "dyn"}},
            r"local\.name scaffold works with algorithm\.server\.name scaffold alone \(got dyn\)",
        ),
        (
            "scaffold",
            {"server": {"name": "adam"}},
            r"local\.name scaffold works with algorithm\.server\.name scaffold alone \(got adam\)",
        ),
        (
            "fednova",
            {"local": {"name": "adamw"}},
            r"aggregation\.name nova needs each hospital's normaliser, which "
            r"algorithm\.local\.name adamw does not give; choose sgd or proximal",
        ),
        ("feddyn", {"aggregation": {"name": "nova"}}, r"local\.name dyn does not give"),
        ("scaffold", {"aggregation": {"name": "nova"}}, r"local\.name scaffold does not give"),
        ("fedsgd", {"aggregation": {"name": "nova"}}, r"local\.name gradient does not give"),
    ],
)
def test_rules_that_do_not_fit_are_refused(name: str, choices: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        compose(name, choices)


def test_what_hospitals_can_always_compute_fits_every_local_rule() -> None:
    for local in plugins.names("federated.local"):
        if getattr(plugins.find("federated.local", local), "pair", None) is None:
            assert compose("qfedavg", {"local": {"name": local}}).needs == {"loss_before"}
    for local in ("sgd", "proximal", "rep"):
        assert compose("fednova", {"local": {"name": local}}).names["local"] == local


# -- the coordinator


TWO = {"a": 1, "b": 1}


def sent(hospital: str, value: float, change: float, examples: int = 1) -> Update:
    one = {"w": torch.tensor([value])}
    return Update(hospital, 1, one, examples, 1, 0.5, {"w": torch.tensor([change])})


def test_a_round_by_hand() -> None:
    updates = [sent("a", 1.0, 0.5, 1), sent("b", 4.0, -2.0, 2)]
    everyone = {"a": 1, "b": 2, "c": 7, "d": 1, "e": 1}
    got = aggregate(compose("fedavg", {}), updates, {}, everyone)
    assert got.step["w"].tolist() == [3.0]  # (1·1 + 2·4) / 3
    assert got.extra["w"].tolist() == pytest.approx([-3.5 / 3])  # (1·½ - 2·2) / 3, as the updates
    assert got.share == 3 / 12
    assert got.extra["w"].dtype == torch.float64
    alike = aggregate(compose("local_sgd", {}), updates, {}, everyone)
    assert (alike.extra["w"].tolist(), alike.share) == ([-0.75], 2 / 5)


def test_updates_are_prepared_before_they_are_aggregated() -> None:
    given: Any = {"preaggregation": {"name": "norm_clipping", "norm": 2.0}}
    got = aggregate(compose("local_sgd", given), [sent("a", 1.0, 0), sent("b", 40.0, 0)], {}, TWO)
    assert got.step["w"].tolist() == [1.5]


def test_broken_extras_are_not_summed() -> None:
    with pytest.raises(OverflowError, match="'w'"):
        aggregate(compose("fedavg", {}), [sent("a", 1.0, float("nan"))], {}, TWO)
    with pytest.raises(UpdateError, match="hospital 'a'"):
        aggregate(compose("fedavg", {}), [sent("a", float("nan"), 1.0)], {}, TWO)
    with pytest.raises(ValueError, match="no updates"):
        aggregate(compose("fedavg", {}), [], {}, TWO)


def test_sizes_are_checked_before_anything_runs() -> None:
    assert check_size(compose("fedavg", {}), 1) == {}
    assert check_size(compose("krum", {}), 7) == {"krum": 2}
    assert check_size(compose("nnm", {}), 7) == {"nnm": 3, "trimmed_mean": 3}
    with pytest.raises(ConfigError, match="krum with f = 0 needs at least 3 updates"):
        check_size(compose("krum", {}), 2)
    assert check_size(compose("norm_clipping", {}), 1) == {}


# -- server rules that are half of a pair


def test_scaffolds_server_by_hand() -> None:
    rule = compose("scaffold", {"server": {"lr": 0.5}}).server
    weights = {"w": torch.tensor([10.0])}
    state = rule.init(weights)
    assert (state, rule.broadcast(state)) == ({}, {})
    eight = dict.fromkeys("abcdefgh", 1)
    both = [sent("a", 1.0, 3.0), sent("b", 3.0, 1.0)]
    given = aggregate(compose("local_sgd", {}), both, {}, eight)
    weights, state = rule.apply(weights, given, state)
    assert weights["w"].tolist() == [11.0]  # 10 + ½·2
    assert state["w"].tolist() == [0.5]  # (3 + 1) / 8
    weights, state = rule.apply(weights, given, state)
    assert state["w"].tolist() == [1.0]
    assert state["w"].dtype == torch.float64
    assert rule.broadcast(state)["w"].dtype == torch.float32
    partial = aggregate(compose("local_sgd", {}), [make.update("a", [1.0])], {}, eight)
    assert rule.apply(weights, partial, state)[1]["w"].tolist() == [1.0]


def test_dyns_server_by_hand() -> None:
    rule = compose("feddyn", {}).server
    weights = {"w": torch.tensor([10.0])}
    step = {"w": torch.tensor([2.0], dtype=torch.float64)}
    state = rule.init(weights)
    assert state == {}
    weights, state = rule.apply(weights, make.aggregated(step, 1 / 4), state)
    # h = -¼·2; w = 10 + 2 + ½
    assert {k: t.tolist() for k, t in state.items()} == {"w": [-0.5]}
    assert weights["w"].tolist() == [12.5]
    weights, state = rule.apply(weights, make.aggregated(step, 2 / 4), state)
    assert state["w"].tolist() == [-1.5]
    assert weights["w"].tolist() == [16.0]
