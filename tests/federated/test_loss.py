import math

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss

from federated.loss import loss, probabilities


def test_two_classes_by_hand() -> None:
    # p = 1/2 and p = 3/4, both of class 1: -(ln 1/2 + ln 3/4) / 2
    logits = torch.tensor([[0.0], [math.log(3)]], dtype=torch.float64)
    expected = -(math.log(0.5) + math.log(0.75)) / 2
    assert loss(logits, torch.tensor([1, 1])).item() == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize(("outputs", "classes"), [(1, 2), (3, 3), (10, 10)])
def test_equals_scikit_learn(outputs: int, classes: int) -> None:
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(50, outputs, dtype=torch.float64, generator=generator)
    targets = torch.randint(0, classes, (50,), generator=generator)
    p = probabilities(logits)
    assert p.shape == (50, classes)
    np.testing.assert_allclose(p.sum(1), 1, atol=1e-15)
    expected = log_loss(targets.numpy(), p.numpy(), labels=range(classes))
    assert loss(logits, targets).item() == pytest.approx(expected, abs=1e-12)
    assert loss(logits, targets, "sum").item() == pytest.approx(50 * expected, abs=1e-10)
    assert loss(logits, targets, "none").shape == (50,)


def test_one_output_equals_two_with_the_first_at_zero() -> None:
    logits = torch.tensor([[-800.0], [-1.0], [0.5], [800.0]], dtype=torch.float64)
    two = torch.cat([torch.zeros_like(logits), logits], dim=1)
    targets = torch.tensor([1, 0, 1, 0])
    torch.testing.assert_close(loss(logits, targets), loss(two, targets))
    torch.testing.assert_close(probabilities(logits), probabilities(two))


def test_gradient_is_probability_less_target() -> None:
    logits = torch.zeros(2, 1, requires_grad=True)
    loss(logits, torch.tensor([1, 0])).backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert logits.grad.tolist() == [[-0.25], [0.25]]


def test_refusals() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        loss(torch.zeros(3, 2), torch.zeros(2, dtype=torch.int64))
    with pytest.raises(ValueError, match="do not fit"):
        loss(torch.zeros(3), torch.zeros(3, dtype=torch.int64))
    with pytest.raises(ValueError, match="no rows"):
        loss(torch.zeros(0, 1), torch.zeros(0, dtype=torch.int64))
    assert loss(torch.zeros(0, 1), torch.zeros(0, dtype=torch.int64), "sum").item() == 0
