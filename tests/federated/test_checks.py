"""An update that must not be aggregated is refused by hospital, round and tensor."""

from dataclasses import replace

import pytest
import torch

from federated.checks import alike, check_update
from federated.errors import UpdateError
from federated.types import Update, Weights
from tests.federated.make import update

WEIGHTS: Weights = {"w": torch.zeros(2), "n.running_var": torch.ones(2)}
MEASURED = frozenset({"n.running_var"})
STATISTICS: Weights = {"n.running_var": torch.tensor([0.5, 0.0])}
GOOD = replace(update("st mary", [1.0, 2.0], round_=7), buffers=STATISTICS)


def test_a_good_update_passes_unchanged() -> None:
    assert check_update(GOOD, WEIGHTS, MEASURED) is GOOD


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (replace(GOOD, delta={"w": torch.tensor([1.0, float("nan")])}), "'w' holds NaN"),
        (replace(GOOD, delta={"w": torch.tensor([1.0, float("inf")])}), "'w' holds NaN"),
        (replace(GOOD, delta={"w": torch.zeros(3)}), r"'w' is torch.float32\[3\]"),
        (replace(GOOD, delta={"w": torch.zeros(2).double()}), r"'w' is torch.float64"),
        (replace(GOOD, delta={"v": torch.zeros(2)}), "not the model's: v, w"),
        (replace(GOOD, delta={}), "not the model's: w"),
        (replace(GOOD, buffers={}), r"not the model's: n\.running_var"),
        (replace(GOOD, delta=GOOD.delta | STATISTICS), r"not the model's: n\.running_var"),
        (
            replace(GOOD, buffers={"n.running_var": torch.tensor([1.0, -0.53])}),
            r"'n\.running_var' holds a variance below 0",
        ),
        (replace(GOOD, examples=0), "0 examples"),
        (replace(GOOD, steps=0), "in 0 steps"),
        (replace(GOOD, loss=float("nan")), "training loss is nan"),
        (replace(GOOD, tensors={"w": torch.tensor([1.0, float("nan")])}), "'w' holds NaN"),
        (replace(GOOD, tensors={"v": torch.zeros(2)}), "not the model's: v"),
        (replace(GOOD, scalars={"loss_before": float("inf")}), "loss_before is inf"),
    ],
)
def test_a_bad_update_is_refused(bad: Update, why: str) -> None:
    with pytest.raises(UpdateError, match=why) as refused:
        check_update(bad, WEIGHTS, MEASURED)
    assert "hospital 'st mary', round 7" in str(refused.value)


def test_alike_updates_are_sorted_by_hospital() -> None:
    updates = [update(name, [1.0]) for name in ("c", "a", "b")]
    assert [u.hospital for u in alike(updates)] == ["a", "b", "c"]
    assert [u.hospital for u in updates] == ["c", "a", "b"]


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ([1.0, float("nan")], "tensor 'w' holds NaN"),
        ([1.0, float("-inf")], "tensor 'w' holds NaN"),
        ([1.0], r"tensor 'w' is torch.float32\[1\], a's is torch.float32\[2\]"),
    ],
)
def test_an_update_unlike_the_others_is_refused(values: list[float], why: str) -> None:
    with pytest.raises(UpdateError, match=f"hospital 'b', round 1: {why}"):
        alike([update("b", values), update("a", [1.0, 2.0])])


def test_an_update_of_other_tensors_or_dtype_is_refused() -> None:
    good = update("a", [1.0])
    with pytest.raises(UpdateError, match=r"hospital 'b'.*tensors are not a's: v, w"):
        alike([good, replace(good, hospital="b", delta={"v": torch.zeros(1)})])
    with pytest.raises(UpdateError, match=r"hospital 'b'.*'w' is torch\.float64"):
        alike([good, replace(good, hospital="b", delta={"w": torch.zeros(1).double()})])


def test_no_updates_and_two_of_one_hospital_are_refused() -> None:
    with pytest.raises(ValueError, match="no updates"):
        alike([])
    with pytest.raises(ValueError, match="two updates of hospital 'a'"):
        alike([update("a", [1.0]), update("b", [1.0]), update("a", [2.0])])
