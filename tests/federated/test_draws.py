"""A network that draws in `forward` draws by seed, round and hospital, whatever else runs."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from federated.algorithm import compose
from federated.config import EvaluationConfig
from federated.draws import Drawing, draws
from federated.errors import ConfigError
from federated.federation import simulate
from federated.initial import build, weights_of
from federated.seeds import seed
from federated.site import LocalSite
from federated.types import Order, Weights
from models.mlp import Mlp
from tests.federated.make import YES_NO, hospital

RULES = compose("fedavg", {"local": {"batch_size": 8, "epochs": 2}})
MODEL = Mlp(hidden=(16,), norm="batch", dropout=0.5)


def members(count: int = 4, run_seed: int = 7) -> dict[str, LocalSite]:
    network = build(MODEL, (3,), 1, run_seed=3)
    return {
        f"h{i}": LocalSite(
            data=hospital(f"h{i}", 41, 3, seed=i),
            network=network,
            algorithm=RULES,
            seed=run_seed,
            objective=YES_NO,
            resolution=EvaluationConfig(score_bins=100, calibration_bins=5),
        )
        for i in range(count)
    }


def same(left: Weights, right: Weights) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[k], right[k]) for k in left)


def test_hospitals_in_threads_get_the_bits_of_one_after_another() -> None:
    sites = members(8)
    order = Order(1, weights_of(sites["h0"].network))

    def trained(name: str) -> Weights:
        torch.manual_seed(np.random.default_rng().integers(2**31))  # the process's own is not ours
        return sites[name].train(order, {}).update.delta

    alone = {name: trained(name) for name in sites}
    for _ in range(3):
        with ThreadPoolExecutor(8) as threads:
            beside = dict(zip(sites, threads.map(trained, sites), strict=True))
        assert all(same(alone[name], beside[name]) for name in sites)


def test_round_hospital_and_seed_each_draw_their_own() -> None:
    start = weights_of(members()["h0"].network)
    masks = [
        dropped(seed("forward", *parts))
        for parts in ((7, 1, "a"), (7, 2, "a"), (7, 1, "b"), (8, 1))
    ]
    assert len({tuple(mask) for mask in masks}) == 4
    first, again = (simulate(RULES, members(), start, 2, seed=1).weights for _ in range(2))
    assert same(first, again)
    plain = Mlp(hidden=(16,), norm="batch")
    kept = members()
    without = {
        name: LocalSite(
            data=one.data,
            network=build(plain, (3,), 1, run_seed=3),
            algorithm=RULES,
            seed=7,
            objective=YES_NO,
            resolution=one.resolution,
        )
        for name, one in kept.items()
    }
    names = dict(zip(weights_of(without["h0"].network), start, strict=True))
    other = simulate(RULES, without, {k: start[n] for k, n in names.items()}, 2, seed=1).weights
    assert not all(torch.equal(other[k], first[n]) for k, n in names.items())  # it does drop


def dropped(seeded: int) -> list[bool]:
    with Drawing(seeded):
        return (F.dropout(torch.ones(64), 0.5, training=True) == 0).tolist()


OPERATIONS: dict[str, Callable[[], Tensor]] = {
    "dropout": lambda: F.dropout(torch.ones(50), 0.3),
    "alpha dropout": lambda: F.alpha_dropout(torch.ones(50), 0.3, training=True),
    "channels": lambda: F.dropout2d(torch.ones(1, 50, 2, 2), 0.3),
    "rrelu": lambda: F.rrelu(-torch.ones(50), training=True),
    "rand": lambda: torch.rand(50),
    "randn like": lambda: torch.randn_like(torch.ones(50)),
    "randint": lambda: torch.randint(1000, (50,)),
    "randint from": lambda: torch.randint(5, 1000, (50,)),
    "randperm": lambda: torch.randperm(50),
    "bernoulli": lambda: torch.bernoulli(torch.full((50,), 0.5)),
    "normal": lambda: torch.normal(torch.zeros(50), torch.ones(50)),
    "noise in place": lambda: torch.zeros(50).normal_(),
    "multinomial": lambda: torch.multinomial(torch.ones(100), 50),
    "gumbel": lambda: F.gumbel_softmax(torch.zeros(50)),
    "poisson": lambda: torch.poisson(torch.full((50,), 100.0)),
    "attention": lambda: F.scaled_dot_product_attention(*torch.ones(3, 1, 9, 4), dropout_p=0.5),
    "cuda's dropout": lambda: torch.ops.aten.native_dropout(torch.ones(50), 0.3, True)[0],
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_what_draws_gets_the_seed_and_leaves_the_process_alone(name: str) -> None:
    draw, before = OPERATIONS[name], torch.get_rng_state()
    found = []
    for given in (1, 1, 2):
        with Drawing(given) as mode:
            found.append(draw())
        assert mode.times > 0
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])
    assert torch.equal(torch.get_rng_state(), before)


def test_a_generator_that_is_named_is_used() -> None:
    with Drawing(1) as mode:
        ours = torch.randperm(9, generator=torch.Generator().manual_seed(5))
    assert mode.times == 0
    assert torch.equal(ours, torch.randperm(9, generator=torch.Generator().manual_seed(5)))


def test_dropouts_share_scale_and_gradient_are_torchs() -> None:
    x = torch.ones(20_000, requires_grad=True)
    for drop in (F.dropout, lambda x, p: torch.ops.aten.native_dropout(x, p, True)[0]):
        with Drawing(3):
            y = drop(x, 0.3)
        kept = y != 0
        assert float(kept.float().mean()) == pytest.approx(0.7, abs=0.02)
        assert y[kept].tolist() == pytest.approx([1 / 0.7] * int(kept.sum()))
        (gradient,) = torch.autograd.grad(y.sum(), x)
        assert torch.equal(gradient, y.detach())


class Noisy(nn.Module):
    """Draws whenever it is asked."""

    def forward(self, x: Tensor) -> Tensor:
        """[n, 3] → [n, 1]."""
        return x[:, :1] + torch.rand(1)


class Folded(nn.Module):
    """Draws by an operation that takes no generator."""

    def forward(self, x: Tensor) -> Tensor:
        """[n, 3] → [n, 1]."""
        return torch.ops.aten._cudnn_init_dropout_state(0.5, True, 1, dtype=torch.uint8)


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        (nn.Linear(3, 1), False),
        (nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 1)), False),
        (nn.Sequential(nn.Dropout(0.0), nn.Linear(3, 1)), False),
        (nn.Sequential(nn.Linear(3, 1), nn.Dropout(0.1)), True),
        (build(MODEL, (3,), 1, 1), True),
    ],
)
def test_who_draws_is_found_by_trying(network: nn.Module, expected: bool) -> None:
    kept, state = weights_of(network), torch.get_rng_state()
    assert draws(network, torch.ones(1, 3)) is expected
    assert same(kept, weights_of(network))
    assert torch.equal(state, torch.get_rng_state())


def test_a_model_that_answers_by_chance_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"draws random numbers when it is evaluated"):
        draws(Noisy(), torch.ones(4, 3))


def test_an_operation_without_a_generator_is_refused_by_name() -> None:
    with pytest.raises(
        ConfigError, match=r"_cudnn_init_dropout_state\.default, which takes no gen"
    ):
        draws(Folded(), torch.ones(4, 3))
