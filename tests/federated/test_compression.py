"""What is sent of an update: which numbers, how many bytes, and nothing lost over rounds."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from federated import states
from federated.algorithm import compose
from federated.compression import compress, size
from federated.compression.bf16 import Bf16
from federated.compression.identity import Identity
from federated.compression.qsgd import Qsgd
from federated.compression.topk import Topk
from federated.initial import weights_of
from federated.types import Order, Weights
from tests.federated import make

LOSSY = [Topk(fraction=0.3), Qsgd(levels=3), Qsgd(levels=15, scale="l2"), Bf16()]


def drawn(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def sent(rule: Any, values: list[float], seed: int = 0) -> list[float]:
    packed = compress(rule, {"w": torch.tensor(values)}, {}, drawn(seed))
    found: list[float] = packed.delta["w"].tolist()
    return found


def delta(seed: int) -> Weights:
    g = drawn(seed)
    return {"a": torch.randn(4, 3, generator=g), "b": torch.randn((), generator=g)}


# -- top-k


@pytest.mark.parametrize(
    ("fraction", "expected"),
    [
        (0.2, [0.0, -5.0, 0.0, 0.0, 0.0]),
        (0.4, [0.0, -5.0, 0.0, 3.0, 0.0]),
        (0.41, [0.0, -5.0, 0.0, 3.0, -3.0]),
        (0.01, [0.0, -5.0, 0.0, 0.0, 0.0]),
        (1.0, [1.0, -5.0, 0.5, 3.0, -3.0]),
    ],
)
def test_topk_sends_the_largest_and_of_equal_ones_the_first(
    fraction: float, expected: list[float]
) -> None:
    assert sent(Topk(fraction=fraction), [1.0, -5.0, 0.5, 3.0, -3.0]) == expected


def test_topk_picks_in_every_tensor_and_sends_places_in_order() -> None:
    given = {"a": torch.tensor([[1.0, -9.0], [8.0, 0.0]]), "b": torch.tensor(0.5)}
    encoded = Topk(fraction=0.5).encode(given, drawn())
    assert {k: t.tolist() for k, t in encoded.items()} == {
        "a/at": [1, 2],
        "a/values": [-9.0, 8.0],
        "b/at": [0],
        "b/values": [0.5],
    }
    assert size(encoded) == 2 * (4 + 4) + (4 + 4)
    assert encoded["a/at"].dtype == torch.int32
    # 0.1 · 30 is a little more than 3 in floating point
    assert len(Topk(fraction=0.1).encode({"w": torch.ones(30)}, drawn())["w/at"]) == 3


# -- QSGD


def test_qsgd_by_hand() -> None:
    # scale 4, 2 levels: 4 → 2, -2 → -1 exactly; 1 is half a level
    packed = Qsgd(levels=2).encode({"w": torch.tensor([4.0, -2.0, 0.0, 1.0])}, drawn())
    assert packed["w/levels"].tolist()[:3] == [2, -1, 0]
    assert packed["w/levels"].tolist()[3] in {0, 1}
    assert packed["w/scale"].item() == 4.0
    # the norm of [3, 4] is 5; with 5 levels both are exact
    packed = Qsgd(levels=5, scale="l2").encode({"w": torch.tensor([3.0, -4.0])}, drawn())
    assert packed["w/levels"].tolist() == [3, -4]
    assert packed["w/scale"].item() == 5.0


@pytest.mark.parametrize("scale", ["l2", "max"])
@pytest.mark.parametrize("levels", [1, 4, 127])
def test_qsgd_is_right_on_average_and_between_two_levels(levels: int, scale: Any) -> None:
    values = torch.tensor([0.31, -0.07, 1.0, -0.62, 0.0, 1e-4])
    g, count = drawn(1), 4000
    rule = Qsgd(levels=levels, scale=scale, error_feedback=False)  # with it, l2 is damped
    seen = torch.stack([compress(rule, {"w": values}, {}, g).delta["w"] for _ in range(count)])
    unit = float(values.norm() if scale == "l2" else 1.0) / levels
    assert float((seen - values).abs().max()) <= unit * (1 + 1e-5)
    steps = (seen / unit).double()
    assert float((steps - steps.round()).abs().max()) < 1e-4
    # a level is drawn with p(1 - p) ≤ ¼: five standard errors
    assert (seen.double().mean(0) - values).abs().max() < 5 * unit * 0.5 / math.sqrt(count)
    assert seen[:, 4].abs().max() == 0


@pytest.mark.parametrize("scale", ["l2", "max"])
def test_qsgd_takes_a_byte_a_number_and_its_levels_fit(scale: Any) -> None:
    wide = {"w": torch.randn(50, 20, generator=drawn()) * 1e3}
    encoded = Qsgd(scale=scale).encode(wide, drawn())
    assert encoded["w/levels"].dtype == torch.int8
    assert encoded["w/levels"].abs().max() <= 127
    assert size(encoded) == 1000 + 4
    for number in (0.1, 1 / 3, 1e-30, 3e38):  # float32's scale may be below the double
        one = torch.tensor([number, -number], dtype=torch.float64)
        levels = Qsgd().encode({"w": one}, drawn())["w/levels"].tolist()
        assert levels == [127, -127]
    # 0.7 is 127 + 2e-6 levels of float32(0.7): of so many numbers some are drawn above 127
    many = torch.full((5_000_000,), 0.7, dtype=torch.float64)
    assert bool((Qsgd().encode({"w": many}, drawn())["w/levels"] == 127).all())


@pytest.mark.parametrize(("levels", "scale"), [(1, "l2"), (4, "l2"), (127, "l2"), (1, "max")])
def test_what_error_feedback_keeps_does_not_grow(levels: int, scale: Any) -> None:
    # of 3,000 numbers ω is 54 with one level: undamped, the residual grows by the round
    rule, residual, most = Qsgd(levels=levels, scale=scale), Weights(), 0.0
    for number in range(300):
        wanted = {"w": torch.randn(3000, generator=drawn(number))}
        residual = compress(rule, wanted, residual, drawn(10_000 + number)).residual
        most = max(most, float(residual["w"].norm() / wanted["w"].norm()))
    omega = min(3000 / levels**2, math.sqrt(3000) / levels)
    assert most < 2 * (1 + omega)  # ‖e‖ ≤ 2 √(1 - δ) ‖u‖ / δ, δ = 1 / (1 + ω)
    encoded = rule.encode(wanted, drawn())
    bare = Qsgd(levels=levels, scale=scale, error_feedback=False)
    damped, plain = (one.decode(encoded, wanted)["w"] for one in (rule, bare))
    assert torch.allclose(damped * (1 + omega), plain, rtol=1e-5)


def test_a_largest_magnitude_is_not_damped() -> None:
    wanted = {"w": torch.randn(3000, generator=drawn())}
    for levels in (2, 127):
        feeding, bare = (Qsgd(levels=levels, error_feedback=f) for f in (True, False))
        encoded = feeding.encode(wanted, drawn())
        assert torch.equal(feeding.decode(encoded, wanted)["w"], bare.decode(encoded, wanted)["w"])


# -- bfloat16


def test_bf16_rounds_to_eight_bits_ties_to_even() -> None:
    ulp = 2.0**-7
    numbers = [1 + 0.4 * ulp, 1 + 0.6 * ulp, 1 + 0.5 * ulp, 1 + 1.5 * ulp, -3.0, 0.0]
    assert sent(Bf16(), numbers) == [1.0, 1 + ulp, 1.0, 1 + 2 * ulp, -3.0, 0.0]
    assert size(Bf16().encode(delta(0), drawn())) == 2 * 13


def test_identity_sends_all_of_it() -> None:
    packed = compress(Identity(), delta(0), {}, drawn())
    assert all(torch.equal(packed.delta[k], t) for k, t in delta(0).items())
    assert (packed.sent, packed.residual) == (4 * 13, {})


# -- what any of them must do


@pytest.mark.parametrize("rule", LOSSY, ids=repr)
def test_what_is_lost_is_sent_later(rule: Any) -> None:
    residual: Weights = {}
    wanted = {k: torch.zeros_like(t) for k, t in delta(0).items()}
    received = {k: torch.zeros_like(t) for k, t in delta(0).items()}
    for number in range(20):
        packed = compress(rule, delta(number), residual, drawn(number))
        residual = packed.residual
        wanted = {k: t + delta(number)[k] for k, t in wanted.items()}
        received = {k: t + packed.delta[k] for k, t in received.items()}
        assert packed.sent == size(rule.encode(delta(number), drawn()))
    for k in wanted:
        assert torch.allclose(received[k] + residual[k], wanted[k], rtol=0, atol=1e-5)
    assert any(bool(t.any()) for t in residual.values())


@pytest.mark.parametrize("cls", [Topk, Qsgd, Bf16])
def test_without_feedback_nothing_is_kept(cls: Any) -> None:
    assert compress(cls(error_feedback=False), delta(1), {}, drawn()).residual == {}
    assert cls().error_feedback


def test_feedback_by_hand() -> None:
    rule = Topk(fraction=0.5)
    first = compress(rule, {"w": torch.tensor([3.0, 2.0])}, {}, drawn())
    assert first.residual["w"].tolist() == [0.0, 2.0]
    second = compress(rule, {"w": torch.tensor([3.0, 2.0])}, first.residual, drawn())
    assert second.delta["w"].tolist() == [0.0, 4.0]
    assert second.residual["w"].tolist() == [3.0, 0.0]


@pytest.mark.parametrize("rule", LOSSY, ids=repr)
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_not_finite_stays_so(rule: Any, bad: float) -> None:
    got = torch.tensor(sent(rule, [1.0, bad, 0.25, -2.0, 3.0]))
    assert not bool(torch.isfinite(got).all())


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=20),
    st.floats(0.01, 1.0),
    st.integers(1, 127),
)
def test_errors_are_bounded(values: list[float], fraction: float, levels: int) -> None:
    exact = np.array(values, dtype=np.float64)
    most = np.abs(exact).max()
    kept = np.array(sent(Topk(fraction=fraction), values))
    count = math.ceil(fraction * len(values) - 1e-9)
    assert np.square(kept - exact).sum() <= (1 - count / len(values)) * np.square(exact).sum() + 1
    assert np.abs(np.array(sent(Qsgd(levels=levels), values)) - exact).max() <= (
        most / levels * (1 + 1e-5) + 1e-37
    )
    assert (np.abs(np.array(sent(Bf16(), values)) - exact) <= np.abs(exact) / 256 + 1e-38).all()


# -- at a hospital


def test_a_hospital_sends_what_was_compressed_and_keeps_the_rest() -> None:
    plain, small = (make.site("a", compose(n, {"local": {"lr": 0.5}})) for n in ("fedavg", "topk"))
    weights = weights_of(plain.network)
    whole, cut = (s.train(Order(1, weights), {}) for s in (plain, small))
    lost = states.part(cut.state, "residual")
    for name, t in whole.update.delta.items():
        assert torch.allclose(cut.update.delta[name] + lost[name], t, rtol=0, atol=1e-7)
    assert whole.update.sent == 4 * (3 + 1)
    assert cut.update.sent == 8 * 2  # one of three weights, and the bias
    kept, anew = (small.train(Order(2, weights), state) for state in (cut.state, {}))
    for name in lost:  # sent and kept together are what was wanted: more by what was lost before
        with_it, without = (
            one.update.delta[name] + states.part(one.state, "residual")[name]
            for one in (kept, anew)
        )
        assert torch.allclose(with_it - without, lost[name], rtol=0, atol=1e-6)
    assert any(bool(t.any()) for t in lost.values())


def test_scalars_and_variates_are_counted_among_the_bytes() -> None:
    weights = weights_of(make.site("a", compose("fedavg", {})).network)
    for name, bytes_ in (("scaffold", 2 * 16), ("fednova", 16 + 8), ("qfedavg", 16 + 8)):
        update = make.site("a", compose(name, {})).train(Order(1, weights), {}).update
        assert update.sent == bytes_
