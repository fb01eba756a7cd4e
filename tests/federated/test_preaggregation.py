"""What is done to updates before they are aggregated: by hand, and against numpy."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from federated.errors import ConfigError
from federated.preaggregation.identity import Identity
from federated.preaggregation.nnm import Nnm
from federated.preaggregation.norm_clipping import NormClipping
from federated.types import Update
from tests.federated.make import update, updates_of


def values(updates: list[Update]) -> list[list[float]]:
    return [u.delta["w"].tolist() for u in updates]


def line(rule: Nnm, **numbers: float) -> dict[str, float]:
    """What each of the hospitals with one number each gets."""
    prepared = rule.prepare([update(name, [float(x)]) for name, x in numbers.items()])
    return {u.hospital: float(u.delta["w"]) for u in prepared}


def test_identity_gives_the_same_updates() -> None:
    updates = [update("b", [1.0]), update("a", [2.0])]
    prepared = Identity().prepare(updates)
    assert all(got is sent for got, sent in zip(prepared, updates, strict=True))


def test_long_updates_are_cut_to_the_norm() -> None:
    updates = [update("c", [6.0, 8.0]), update("a", [3.0, 4.0]), update("b", [0.3, 0.4])]
    assert values(NormClipping(norm=5.0).prepare(updates)) == [
        [3.0, 4.0],
        updates[1].delta["w"].tolist(),
        updates[2].delta["w"].tolist(),
    ]
    assert values(NormClipping(norm=2.5).prepare(updates))[:2] == [[1.5, 2.0], [1.5, 2.0]]


def test_without_a_norm_it_is_the_median_of_the_round() -> None:
    updates = [update("a", [6.0, 8.0]), update("b", [3.0, 4.0]), update("c", [0.0, 1.0])]
    assert values(NormClipping().prepare(updates)) == [[3.0, 4.0], [3.0, 4.0], [0.0, 1.0]]
    # of 1, 3, 5, 10 the middle two: 4
    updates.append(update("d", [3.0, 0.0]))
    assert values(NormClipping().prepare(updates))[0] == pytest.approx([2.4, 3.2])
    assert values(NormClipping().prepare(updates))[3] == [3.0, 0.0]


def test_clipping_takes_the_norm_over_all_tensors() -> None:
    delta = {"w": torch.tensor([[3.0]]), "n.running_mean": torch.tensor([4.0]).bfloat16()}
    sent = Update("a", 4, delta, 7, 3, 0.5, scalars={"normaliser": 2.0})
    got = NormClipping(norm=2.5).prepare([sent])[0]
    assert got.delta["w"].tolist() == [[1.5]]
    assert got.delta["n.running_mean"].tolist() == [2.0]
    assert got.delta["n.running_mean"].dtype == torch.bfloat16
    assert (got.hospital, got.round, got.examples, got.steps, got.loss) == ("a", 4, 7, 3, 0.5)
    assert got.scalars == {"normaliser": 2.0}


def test_updates_of_zero_stay_zero() -> None:
    updates = [update("a", [0.0]), update("b", [0.0]), update("c", [5.0])]
    assert values(NormClipping().prepare(updates)) == [[0.0], [0.0], [0.0]]
    assert values(NormClipping(norm=1.0).prepare(updates)) == [[0.0], [0.0], [1.0]]


def test_mixing_by_hand() -> None:
    # f = 1: each with its nearest three of four
    numbers = {"d": 100, "a": 0, "b": 1, "c": 5}
    got = line(Nnm(f=1), **numbers)
    assert got == {"d": pytest.approx(106 / 3), "a": 2.0, "b": 2.0, "c": 2.0}
    assert list(got) == ["d", "a", "b", "c"]
    assert line(Nnm(f=0), **numbers) == dict.fromkeys(numbers, 26.5)
    assert line(Nnm(), **numbers) == line(Nnm(f=1), **numbers)


def test_of_equally_near_updates_the_first_hospital_by_name_is_mixed_in() -> None:
    # b has a and c at the same distance, and takes one of them
    assert line(Nnm(f=1), a=0, b=1, c=2) == {"a": 0.5, "b": 0.5, "c": 1.5}
    assert line(Nnm(f=1), c=0, b=1, a=2) == {"c": 0.5, "b": 1.5, "a": 1.5}


@pytest.mark.parametrize("f", [0, 1, 2])
def test_mixing_refuses_too_few_updates(f: int) -> None:
    least = 2 * f + 1
    assert Nnm(f=f).tolerates(least) == f
    assert [Nnm().tolerates(n) for n in range(1, 8)] == [0, 0, 1, 1, 2, 2, 3]
    why = rf"algorithm\.preaggregation\.f: nnm with f = {f} needs at least {least} updates"
    with pytest.raises(ConfigError, match=why):
        Nnm(f=f).tolerates(least - 1)
    if f:
        with pytest.raises(ConfigError, match=why):
            Nnm(f=f).prepare(updates_of(np.zeros((least - 1, 1))))
    assert Nnm.robust is True


@settings(max_examples=40, deadline=None)
@given(st.integers(3, 9), st.integers(0, 10**6))
def test_mixing_against_numpy(n: int, seed: int) -> None:
    rows = np.random.default_rng(seed).normal(size=(n, 3))
    f = (n - 1) // 2
    expected = []
    for one in rows:
        ranked = sorted(rows, key=lambda other: float(np.linalg.norm(one - other)))
        expected.append(np.mean(ranked[: n - f], axis=0))
    got = np.array(values(Nnm().prepare(updates_of(rows))))
    assert got == pytest.approx(np.array(expected), abs=1e-12)


def test_mixing_keeps_a_far_update_from_the_honest_ones() -> None:
    honest = np.random.default_rng(0).uniform(-1, 1, size=(5, 2))
    prepared = Nnm(f=2).prepare(updates_of(np.vstack([honest, np.full((2, 2), 1e6)])))
    got = np.array(values(prepared))
    assert np.abs(got[:5]).max() <= 1
    # a faulty one cannot keep its own value either: it is mixed with honest ones
    assert got[5:] == pytest.approx(got[[5, 6]][::-1], rel=1e-5)
    assert np.abs(got[5:]).max() < 0.41e6


def test_hospitals_with_the_same_neighbours_get_the_same_bits() -> None:
    # all three are mixed: (0.1 + 0.2) + 0.3 in every hospital's, though (0.3 + 0.2) + 0.1 is less
    mixed = values(Nnm(f=0).prepare(updates_of(np.array([[0.1], [0.2], [0.3]]))))
    assert mixed == [[(0.1 + 0.2 + 0.3) / 3]] * 3
    assert (0.1 + 0.2 + 0.3) / 3 != (0.3 + 0.2 + 0.1) / 3
