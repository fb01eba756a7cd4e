"""An update that must not be aggregated is refused by hospital, round and tensor."""

from dataclasses import replace

import pytest
import torch

from federated.checks import check_update
from federated.errors import UpdateError
from federated.types import Update, Weights
from tests.federated.make import update

WEIGHTS: Weights = {"w": torch.zeros(2)}
GOOD = update("st mary", [1.0, 2.0], round_=7)


def test_a_good_update_passes_unchanged() -> None:
    assert check_update(GOOD, WEIGHTS) is GOOD


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (replace(GOOD, delta={"w": torch.tensor([1.0, float("nan")])}), "'w' holds NaN"),
        (replace(GOOD, delta={"w": torch.tensor([1.0, float("inf")])}), "'w' holds NaN"),
        (replace(GOOD, delta={"w": torch.zeros(3)}), r"'w' is torch.float32\[3\]"),
        (replace(GOOD, delta={"w": torch.zeros(2).double()}), r"'w' is torch.float64"),
        (replace(GOOD, delta={"v": torch.zeros(2)}), "not the model's: v, w"),
        (replace(GOOD, delta={}), "not the model's: w"),
        (replace(GOOD, examples=0), "0 examples"),
        (replace(GOOD, steps=0), "in 0 steps"),
        (replace(GOOD, loss=float("nan")), "training loss is nan"),
        (replace(GOOD, tensors={"w": torch.tensor([1.0, float("nan")])}), "'w' holds NaN"),
        (replace(GOOD, tensors={"v": torch.zeros(2)}), "'v' is none of the model's"),
        (replace(GOOD, scalars={"loss_before": float("inf")}), "loss_before is inf"),
    ],
)
def test_a_bad_update_is_refused(bad: Update, why: str) -> None:
    with pytest.raises(UpdateError, match=why) as refused:
        check_update(bad, WEIGHTS)
    assert "hospital 'st mary', round 7" in str(refused.value)
