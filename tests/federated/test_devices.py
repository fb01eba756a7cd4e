"""Where hospitals compute. What needs a GPU says so and is skipped without one."""

import pytest
import torch

from federated.algorithm import compose
from federated.batched import cohort
from federated.devices import lane, placed, prepare, resolve
from federated.errors import ConfigError
from federated.federation import learning
from federated.initial import weights_of
from federated.shares import combine, train_share
from federated.site import CPU, scratch
from federated.types import Order
from tests.federated import make

GPU = torch.cuda.is_available()
needs_gpu = pytest.mark.skipif(not GPU, reason="no GPU here: CUDA is not tested")
PRESETS = ("fedsgd", "fedavg", "fedprox", "scaffold", "feddyn", "qfedavg", "ditto", "topk")


def test_the_cpu_is_always_there() -> None:
    assert resolve("cpu") == CPU
    assert resolve("auto").type == ("cuda" if GPU else "cpu")


@pytest.mark.skipif(GPU, reason="there is a GPU here")
def test_cuda_without_a_gpu_is_refused_and_says_what_to_do() -> None:
    with pytest.raises(ConfigError, match=r"run\.device cuda: no CUDA here .*auto or cpu"):
        resolve("cuda")


def test_the_cpu_is_left_as_it_is() -> None:
    sites = {"a": make.site("a", make.algorithm())}
    before = torch.are_deterministic_algorithms_enabled()
    prepare(CPU)
    there = placed(sites, CPU)["a"]
    assert torch.are_deterministic_algorithms_enabled() is before
    assert there.data.train.features is sites["a"].data.train.features
    with lane(CPU):
        assert scratch(there.network, CPU) is scratch(there.network)


@needs_gpu
@pytest.mark.parametrize("preset", PRESETS)
def test_a_round_on_cuda_is_near_the_cpus_and_the_same_every_time(preset: str) -> None:
    device = torch.device("cuda")
    prepare(device)
    rules = compose(preset, {})
    here = make.site("a", rules)
    there = placed({"a": here}, device)["a"]
    order = Order(1, weights_of(here.network))
    expected = here.train(order, {})
    with lane(device):
        found, again = there.train(order, {}), there.train(order, {})
    assert found.update.loss == pytest.approx(expected.update.loss, abs=1e-5)
    for name, delta in expected.update.delta.items():
        assert found.update.delta[name].device == CPU
        assert torch.equal(found.update.delta[name], again.update.delta[name])
        torch.testing.assert_close(found.update.delta[name], delta, atol=1e-5, rtol=0)
    counts = there.evaluate(order.weights, found.state).test
    assert counts.rows == here.evaluate(order.weights, expected.state).test.rows


@needs_gpu
def test_a_batch_of_hospitals_on_cuda_is_near_the_cpus() -> None:
    rules = make.algorithm()
    here = {name: make.site(name, rules, 30 + 7 * i, seed=i) for i, name in enumerate("abc")}
    there = placed(here, torch.device("cuda"))
    order = Order(1, weights_of(here["a"].network))
    alone = combine(
        rules, [train_share(rules, here.values(), order, {})], order.weights, learning(here)
    )
    found = combine(
        rules, [cohort(list(there.values())).train(order)], order.weights, learning(here)
    )
    for name, step in alone.step.items():
        torch.testing.assert_close(found.step[name], step, atol=1e-5, rtol=0)
