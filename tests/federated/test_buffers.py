"""Running statistics are measured: they are averaged by examples, and no rule takes a step."""

from typing import Any

import pytest
import torch
from torch import nn

from federated.algorithm import Algorithm, compose
from federated.config import EvaluationConfig
from federated.errors import ConfigError, UpdateError
from federated.federation import simulate
from federated.initial import weights_of
from federated.shares import combine, train_share
from federated.site import LocalSite
from federated.types import HospitalData, Order, Split, Weights
from federated.weights import buffer_names, trained_names
from tests.federated.make import YES_NO, hospital

SIZES = {"a": 9, "b": 17, "c": 40, "d": 5}
"""Training rows; with batches of 4 three of them have a row left over."""


def network() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 1))


def members(rules: Algorithm, scale: float = 1.0) -> dict[str, LocalSite]:
    shared = network()
    return {
        name: LocalSite(
            data=scaled(hospital(name, n, 3, seed=n), scale),
            network=shared,
            algorithm=rules,
            seed=7,
            objective=YES_NO,
            resolution=EvaluationConfig(score_bins=100, calibration_bins=5),
        )
        for name, n in SIZES.items()
    }


def scaled(data: HospitalData, factor: float) -> HospitalData:
    part = Split(factor * data.train.features, data.train.targets)
    return HospitalData(data.hospital, part, part, part)


LOCAL: dict[str, Any] = {"batch_size": 4, "lr": 0.05}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "server lr 5": ("fedavg", {"server": {"lr": 5.0}}),
    "scaffold, server lr 3": ("scaffold", {"server": {"lr": 3.0}}),
    "sum": ("sum", {"local": {"lr": 0.05}}),
    "fedsgd": ("fedsgd", {"local": {"lr": 0.05}}),
    "qfedavg": ("qfedavg", {"aggregation": {"q": 2.0, "lr": 0.05}}),
    "fednova": ("fednova", {}),
    "topk": ("topk", {"compression": {"fraction": 0.1}}),
    "qsgd": ("qsgd", {"compression": {"levels": 1}}),
    "fedavgm": ("fedavgm", {"server": {"lr": 4.0}}),
    "fedadam": ("fedadam", {}),
    "feddyn": ("feddyn", {}),
    "alike": ("local_sgd", {}),
    "norm clipping": ("norm_clipping", {}),
}
NOT_AVERAGED = {"norm clipping"}


@pytest.mark.parametrize("case", CASES)
def test_statistics_are_the_mean_by_examples_whatever_the_rules(case: str) -> None:
    name, more = CASES[case]
    rules = compose(name, {"local": LOCAL} | more)
    sites = members(rules)
    start = weights_of(sites["a"].network)
    updates = [one.train(Order(1, start), {}).update for one in sites.values()]
    after = simulate(rules, sites, start, 1, seed=1).weights
    total = sum(SIZES.values())
    for tensor in ("1.running_mean", "1.running_var"):
        expected = sum(u.examples * u.buffers[tensor].double() for u in updates) / total
        assert isinstance(expected, torch.Tensor)
        if case not in NOT_AVERAGED:
            assert after[tensor].double() == pytest.approx(expected, rel=1e-6, abs=1e-7)
        assert not torch.equal(after[tensor], start[tensor])


@pytest.mark.parametrize("name", ["median", "krum", "geometric_median", "trimmed_mean", *CASES])
def test_variances_stay_variances_over_rounds(name: str) -> None:
    preset, more = CASES.get(name, (name, {}))
    rules = compose(preset, {"local": LOCAL} | more)
    sites = members(rules)
    after = simulate(rules, sites, weights_of(sites["a"].network), 15, seed=1)
    assert bool((after.weights["1.running_var"] > 0).all())
    for one in sites.values():
        one.evaluate(after.weights, after.of(one.hospital))  # finite outputs, or ValueError


def test_what_is_compressed_is_the_parameters_alone() -> None:
    rules = compose("topk", {"local": LOCAL, "compression": {"fraction": 0.01}})
    one = members(rules)["b"]
    start = weights_of(one.network)
    sent = one.train(Order(1, start), {}).update
    assert sent.delta.keys() == trained_names(one.network)
    assert sent.buffers.keys() == buffer_names(one.network) == one.buffers
    assert all(bool(t.all()) for t in sent.buffers.values())
    numbers = len(sent.delta)  # one of each tensor, with its place
    assert sent.sent == 8 * numbers + 4 * sum(t.numel() for t in sent.buffers.values())


def test_a_faulty_hospitals_statistics_are_withstood_like_its_update() -> None:
    rules = compose("median", {"local": LOCAL})
    sites = members(rules)
    start = weights_of(sites["a"].network)
    share = train_share(rules, sites.values(), Order(1, start), {})
    honest = [u.buffers["1.running_var"] for u in share.updates[1:]]
    ill = share.updates[0]
    ill.buffers["1.running_var"] = torch.full((4,), 1e9)
    found = combine(rules, [share], start, SIZES).buffers["1.running_var"]
    assert bool((found <= torch.stack(honest).amax(dim=0).double() + 1e-6).all())


def test_a_batch_of_one_row_joins_the_one_before_it_or_is_refused() -> None:
    rules = compose("fedavg", {"local": LOCAL | {"epochs": 2}})
    sites = members(rules)
    start = weights_of(sites["a"].network)
    sent = {h: one.train(Order(1, start), {}).update.steps for h, one in sites.items()}
    assert sent == {"a": 2 * 2, "b": 2 * 4, "c": 2 * 10, "d": 2 * 1}
    single = members(compose("fedavg", {"local": LOCAL | {"batch_size": 1}}))
    with pytest.raises(ConfigError, match=r"hospital 'c', round 3: .*batch_size to 2 or more"):
        single["c"].train(Order(3, start), {})


def test_statistics_beyond_the_sum_are_not_blamed_on_the_step_size() -> None:
    rules = compose("fedavg", {"local": LOCAL})
    sites = members(rules, scale=1e5)
    start: Weights = weights_of(sites["a"].network)
    with pytest.raises(UpdateError, match=r"hospital 'b', round 1: .*let inputs be scaled"):
        train_share(rules, [sites["b"]], Order(1, start), {})
