import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import log_loss
from sklearn.utils.class_weight import compute_sample_weight

from federated.objectives import objective_of
from federated.objectives.classification import ClassCounts, Classification
from federated.schema import TableSchema
from tests.federated.make import YES_NO, count, of_classes

THREE = of_classes(3)


def test_two_classes_by_hand() -> None:
    # p = 1/2 and p = 3/4, both of class 1: -(ln 1/2 + ln 3/4) / 2
    logits = torch.tensor([[0.0], [math.log(3)]], dtype=torch.float64)
    expected = -(math.log(0.5) + math.log(0.75)) / 2
    assert YES_NO.loss(logits, torch.tensor([1, 1])).item() == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize(("outputs", "classes"), [(1, 2), (3, 3), (10, 10)])
def test_equals_scikit_learn(outputs: int, classes: int) -> None:
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(50, outputs, dtype=torch.float64, generator=generator)
    targets = torch.randint(0, classes, (50,), generator=generator)
    objective = of_classes(classes)
    assert objective.outputs == outputs
    p = objective.predictions(logits)
    assert p.shape == (50, classes)
    np.testing.assert_allclose(p.sum(1), 1, atol=1e-15)
    expected = log_loss(targets.numpy(), p.numpy(), labels=range(classes))
    assert objective.loss(logits, targets).item() == pytest.approx(expected, abs=1e-12)
    assert objective.loss(logits, targets, reduction="sum").item() == pytest.approx(
        50 * expected, abs=1e-10
    )
    assert objective.loss(logits, targets, reduction="none").shape == (50,)


def test_one_output_equals_two_with_the_first_at_zero() -> None:
    logits = torch.tensor([[-800.0], [-1.0], [0.5], [800.0]], dtype=torch.float64)
    two = torch.cat([torch.zeros_like(logits), logits], dim=1)
    targets = torch.tensor([1, 0, 1, 0])
    torch.testing.assert_close(YES_NO.loss(logits, targets), F.cross_entropy(two, targets))
    torch.testing.assert_close(YES_NO.predictions(logits), torch.softmax(two, dim=1))


def test_gradient_is_probability_less_target() -> None:
    logits = torch.zeros(2, 1, requires_grad=True)
    YES_NO.loss(logits, torch.tensor([1, 0])).backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert logits.grad.tolist() == [[-0.25], [0.25]]


def test_refusals() -> None:
    nobody = torch.zeros(0, dtype=torch.int64)
    with pytest.raises(ValueError, match="do not fit"):
        THREE.loss(torch.zeros(3, 3), nobody)
    with pytest.raises(ValueError, match="do not fit"):
        THREE.loss(torch.zeros(3, 2), torch.zeros(3, dtype=torch.int64))
    with pytest.raises(ValueError, match="do not fit"):
        YES_NO.loss(torch.zeros(3), torch.zeros(3, dtype=torch.int64))
    with pytest.raises(ValueError, match="no rows"):
        YES_NO.loss(torch.zeros(0, 1), nobody)
    assert YES_NO.loss(torch.zeros(0, 1), nobody, reduction="sum").item() == 0


@pytest.mark.parametrize("objective", [YES_NO, THREE])
def test_weights_by_hand_and_as_repeated_rows(objective: Classification) -> None:
    generator = torch.Generator().manual_seed(2)
    logits = torch.randn(4, objective.outputs, dtype=torch.float64, generator=generator)
    targets, times = torch.tensor([0, 1, 1, 0]), torch.tensor([1, 3, 2, 1])
    each = objective.loss(logits, targets, reduction="none")
    weighted = objective.loss(logits, targets, times.double())
    assert weighted.item() == pytest.approx(float((each * times).sum() / 7), abs=1e-12)
    repeated = objective.loss(logits.repeat_interleave(times, 0), targets.repeat_interleave(times))
    torch.testing.assert_close(weighted, repeated)


def test_balanced_weights_are_scikit_learns() -> None:
    targets = torch.tensor([2, 0, 0, 0, 2, 0])
    expected = compute_sample_weight("balanced", targets.numpy())
    weights = THREE.row_weights(targets)
    assert weights.tolist() == pytest.approx(expected.tolist())  # class 1 has no row
    assert weights.mean().item() == pytest.approx(1)


def test_the_schemas_classes_make_it() -> None:
    schema = TableSchema(columns=(), target="y", classes=("no", "yes"))
    found = objective_of(schema)
    assert found == YES_NO
    assert (found.outputs, found.columns) == (1, ("no", "yes"))


def good() -> ClassCounts:
    """Two rows, one of each class, both right."""
    return count(torch.tensor([[-1.0], [1.0]]), torch.tensor([0, 1]), 2, 4, 2)


def contradictions() -> dict[str, ClassCounts]:
    """Counts with one fault each; all else agrees."""
    one = good()
    rows, confidence, hits = one.calibration
    three = count(torch.zeros(3, 3), torch.tensor([0, 1, 2]), 3, 4, 2)
    ones = count(torch.ones(2, 1), torch.tensor([1, 1]), 2, 4, 2)
    return {
        "one class": replace(ones, confusion=np.array([[2]])),
        "not square": replace(one, confusion=np.array([[1, 0, 0], [0, 1, 0]])),
        "three planes": replace(
            one, scores=np.concatenate([one.scores, np.zeros_like(one.scores[:, :1])], axis=1)
        ),
        "groups": replace(three, scores=three.scores[1:]),
        "calibration": replace(one, calibration=np.vstack([one.calibration, rows])),
        "confusion": replace(one, confusion=np.array([[2, 0], [0, 1]])),
        "scores": replace(one, scores=one.scores + np.array([[1], [0]]) * [1, 0, 0, 0]),
        "classes": replace(one, confusion=np.array([[2, 0], [0, 0]])),
        "rows": replace(one, calibration=np.stack([rows + 1, confidence, hits])),
        "hits": replace(one, calibration=np.stack([rows, confidence, rows + 1])),
    }


@pytest.mark.parametrize("fault", sorted(contradictions()))
def test_counts_that_contradict_themselves(fault: str) -> None:
    assert contradictions()[fault].consistent() is False
    assert good().consistent()


def test_encode_strata_and_tally() -> None:
    assert THREE.encode(np.array([[2.0], [np.nan], [0.0]])).tolist() == [2, -1, 0]
    classes = np.array([2, 0, 2])
    assert THREE.strata(classes) is classes
    assert THREE.tally(classes) == {"0": 1, "1": 0, "2": 2}


def test_loss_and_brier_of_rows_nearly_without_events_have_no_interval() -> None:
    """All rows alike spread nowhere: an interval would be a point beside the truth."""
    outputs = torch.full((1000, 1), math.log(0.001 / 0.999), dtype=torch.float64)
    for events, known in ((0, False), (4, False), (5, True)):
        targets = (torch.arange(1000) < events).long()
        found = Classification(("no", "yes")).count(outputs, targets, 2000, 15).metrics()
        assert found["loss"] is not None
        assert ("loss" in found.intervals, "brier" in found.intervals) == (known, known)
