"""The step size over rounds, by hand and against torch's schedulers."""

import math
from typing import Any

import pytest
import torch

from federated.schedule.constant import Constant
from federated.schedule.cosine import Cosine
from federated.schedule.exponential import Exponential
from federated.schedule.step import Step


def factors(rule: Any, rounds: int) -> list[float]:
    return [rule.factor(r, rounds) for r in range(1, rounds + 1)]


def by_torch(make: Any, rounds: int) -> list[float]:
    """lr of each round, from 1."""
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler, seen = make(optimiser), []
    for _ in range(rounds):
        seen.append(float(optimiser.param_groups[0]["lr"]))
        optimiser.step()
        scheduler.step()
    return seen


def test_constant_step_and_exponential_by_hand() -> None:
    assert factors(Constant(), 3) == [1.0, 1.0, 1.0]
    assert factors(Step(every=2, gamma=0.5), 6) == [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]
    assert factors(Exponential(gamma=0.5), 4) == [1.0, 0.5, 0.25, 0.125]


def test_step_and_exponential_against_torch() -> None:
    scheduler = torch.optim.lr_scheduler
    expected = by_torch(lambda o: scheduler.StepLR(o, 7, gamma=0.3), 30)
    assert factors(Step(every=7, gamma=0.3), 30) == pytest.approx(expected)
    expected = by_torch(lambda o: scheduler.ExponentialLR(o, 0.9), 30)
    assert factors(Exponential(gamma=0.9), 30) == pytest.approx(expected)


@pytest.mark.parametrize("last", [0.01, 0.2, 1.0])
def test_cosine_falls_to_its_last_factor_in_the_last_round(last: float) -> None:
    # from round 1 to round 9 are 8 steps; the middle is halfway
    got = factors(Cosine(last=last), 9)
    assert (got[0], got[4], got[8]) == pytest.approx((1.0, (1 + last) / 2, last))
    assert got[2] == pytest.approx(last + (1 - last) * (1 + math.sqrt(0.5)) / 2)
    annealed = torch.optim.lr_scheduler.CosineAnnealingLR
    assert got == pytest.approx(by_torch(lambda o: annealed(o, 8, eta_min=last), 9))


def test_cosine_warms_up_in_a_straight_line() -> None:
    got = factors(Cosine(last=0.1, warmup=3), 8)
    assert got[:4] == pytest.approx([0.25, 0.5, 0.75, 1.0])
    assert got[4:] == pytest.approx(factors(Cosine(last=0.1), 5)[1:])
    assert got[-1] == pytest.approx(0.1)


def test_cosine_of_few_rounds() -> None:
    assert factors(Cosine(), 1) == [1.0]
    assert factors(Cosine(last=0.5), 2) == pytest.approx([1.0, 0.5])
    assert factors(Cosine(warmup=1), 2) == pytest.approx([0.5, 1.0])
    assert factors(Cosine(warmup=3), 2) == pytest.approx([0.25, 0.5])  # never done
