from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle

from federated.counts import merge
from federated.intervals import share
from federated.metrics import Measure, Metrics, summary
from federated.objectives.classification import READING, ClassCounts
from federated.ranking import Ranks
from tests.federated.make import YES_NO, count, of_classes

BINS, M = 1000, 15


def on_grid(steps: list[int], bins: int = BINS) -> torch.Tensor:
    """Log-odds whose probability is the middle of each bin: binning loses nothing."""
    p = (torch.tensor(steps, dtype=torch.float64) + 0.5) / bins
    return torch.logit(p).unsqueeze(1)


def two(p: list[float], classes: list[int]) -> ClassCounts:
    logits = torch.logit(torch.tensor(p, dtype=torch.float64)).unsqueeze(1)
    return count(logits, torch.tensor(classes), 2, BINS, M)


def test_by_hand() -> None:
    # Positives .8 .6 .3, negatives .6 .2. Pairs: .8 beats both (2), .6 ties and beats (1.5),
    # .3 beats .2 (1): 4.5 of 6.
    found = two([0.8, 0.6, 0.3, 0.6, 0.2], [1, 1, 1, 0, 0]).metrics()
    assert found.auroc == 4.5 / 6
    # From the top: P = 1/1 for 1/3 of recall, 2/3 for 1/3 (the tie enters together), 3/4 for 1/3
    assert found.auprc == pytest.approx((1 + 2 / 3 + 3 / 4) / 3, abs=2**-32)
    assert found.accuracy == 3 / 5
    assert found.balanced_accuracy == pytest.approx((2 / 3 + 1 / 2) / 2, abs=1e-15)
    assert found.f1 == pytest.approx(4 / 6, abs=1e-15)  # TP 2, FP 1, FN 1
    assert found.brier == pytest.approx((0.04 + 0.16 + 0.49 + 0.36 + 0.04) / 5, abs=1e-9)
    # one bin each for .8, .3, .2; .6 twice with one hit
    assert found.ece == pytest.approx((0.2 + 0.2 + 0.7 + 0.2) / 5, abs=1e-9)


def test_a_perfect_and_a_reversed_order() -> None:
    assert two([0.9, 0.8, 0.2, 0.1], [1, 1, 0, 0]).metrics().auroc == 1
    assert two([0.9, 0.8, 0.2, 0.1], [0, 0, 1, 1]).metrics().auroc == 0
    assert two([0.5, 0.5, 0.5, 0.5], [0, 0, 1, 1]).metrics().auroc == 0.5


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, BINS - 1), st.integers(0, 1)), min_size=2, max_size=80
    ).filter(lambda rows: len({y for _, y in rows}) == 2)
)
def test_two_classes_equal_scikit_learn_on_the_grid(rows: list[tuple[int, int]]) -> None:
    logits, y = on_grid([s for s, _ in rows]), torch.tensor([y for _, y in rows])
    found = count(logits, y, 2, BINS, M).metrics()
    score = np.array([s for s, _ in rows])
    p, said = YES_NO.predictions(logits)[:, 1].numpy(), (logits[:, 0] > 0).long()
    assert found.auroc == pytest.approx(oracle.roc_auc_score(y, score), abs=1e-12)
    assert found.auprc == pytest.approx(oracle.average_precision_score(y, score), abs=2**-32)
    assert found.accuracy == pytest.approx(oracle.accuracy_score(y, said), abs=1e-12)
    recall = oracle.balanced_accuracy_score(y, said)
    assert found.balanced_accuracy == pytest.approx(recall, abs=1e-12)
    assert found.f1 == pytest.approx(oracle.f1_score(y, said, zero_division=0), abs=1e-12)
    # fixed point: 2^-33 a sum
    assert found.brier == pytest.approx(oracle.brier_score_loss(y, p), abs=2**-32)
    assert found.loss == pytest.approx(oracle.log_loss(y, p), abs=2**-32)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(3, 6), st.integers(6, 60))
def test_more_classes_equal_scikit_learn(seed: int, classes: int, n: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(n, classes, dtype=torch.float64, generator=generator)
    y = torch.randint(0, classes, (n,), generator=generator)
    counts = count(logits, y, classes, BINS, M)
    found, p = counts.metrics(), of_classes(classes).predictions(logits).numpy()
    present = [c for c in range(classes) if 0 < (y == c).sum() < n]
    if len(present) > 1:
        roc = [oracle.roc_auc_score(y == c, p[:, c]) for c in present]
        pr = [oracle.average_precision_score(y == c, p[:, c]) for c in present]
        assert found.auroc == pytest.approx(np.mean(roc), abs=1e-12)
        assert found.auprc == pytest.approx(np.mean(pr), abs=2**-32)
        recall = oracle.recall_score(y, p.argmax(1), labels=present, average="macro")
        assert found.balanced_accuracy == pytest.approx(recall, abs=1e-12)
        f1 = oracle.f1_score(y, p.argmax(1), labels=present, average="macro", zero_division=0)
        assert found.f1 == pytest.approx(f1, abs=1e-12)
    squares = ((p - np.eye(classes)[y]) ** 2).sum(1).mean()
    assert found.brier == pytest.approx(squares, abs=2**-32)
    assert found.loss == pytest.approx(oracle.log_loss(y, p, labels=range(classes)), abs=2**-32)


def test_calibration_error_of_more_classes_is_of_the_top_label() -> None:
    p = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.5, 0.4]], dtype=torch.float64)
    counts = count(p.log(), torch.tensor([0, 2]), 3, BINS, 10)
    assert counts.metrics().ece == pytest.approx((0.3 + 0.5) / 2, abs=1e-9)


def test_no_rows_leaves_everything_undefined() -> None:
    for classes, outputs in ((2, 1), (3, 3)):
        counts = count(torch.zeros(0, outputs), torch.zeros(0, dtype=torch.int64), classes, 10, 5)
        found = counts.metrics().model_dump()
        assert found.pop("rows") == 0
        assert set(found.values()) == {None}
        assert counts.metrics().bounds == {}
        assert counts.curve(0.5).roc == ()
        assert counts.curve(0.5).calibration == ()


@pytest.mark.parametrize("only", [0, 1])
def test_one_class_leaves_the_order_undefined(only: int) -> None:
    found = two([0.9, 0.8, 0.2], [only] * 3).metrics()
    assert (found.auroc, found.auprc, found.balanced_accuracy) == (None, None, None)
    assert (found.f1 is None) == (only == 0)
    assert found.accuracy == pytest.approx(1 / 3 if only == 0 else 2 / 3)
    assert found.loss is not None
    assert found.brier is not None
    assert found.ece is not None


def test_a_class_that_is_absent_is_left_out_of_the_mean() -> None:
    p = torch.tensor([[0.6, 0.3, 0.1], [0.3, 0.6, 0.1], [0.2, 0.7, 0.1]], dtype=torch.float64)
    found = count(p.log(), torch.tensor([0, 1, 1]), 3, BINS, M).metrics()
    assert (found.auroc, found.auprc) == (1, 1)
    assert (found.balanced_accuracy, found.f1) == (1, 1)


def test_one_class_of_many_has_no_auroc() -> None:
    found = count(torch.eye(3), torch.tensor([1, 1, 1]), 3, BINS, M).metrics()
    assert (found.auroc, found.auprc, found.balanced_accuracy) == (None, None, None)
    assert found.f1 == pytest.approx(0.5)


def test_overall_metrics_are_those_of_all_rows() -> None:
    steps, y = [10, 900, 400, 600, 500, 20, 999], [0, 1, 0, 1, 0, 1, 1]
    parts = [count(on_grid(steps[i::3]), torch.tensor(y[i::3]), 2, BINS, M) for i in range(3)]
    found = merge(parts).metrics()
    assert found.auroc == pytest.approx(oracle.roc_auc_score(y, steps), abs=1e-12)
    assert found.rows == 7


def some(**values: Any) -> Metrics:
    empty = {measure.name: None for measure in READING.measures}
    return Metrics(**({"rows": 9} | empty | values))


def test_summary() -> None:
    found = summary(
        {
            "va": some(auroc=0.6, loss=0.4),
            "hungary": some(auroc=0.9, loss=0.5),
            "cleveland": some(auroc=0.6),
            "switzerland": some(loss=0.2),
        },
        READING.measures,
    )
    worst = found.worst["auroc"]
    assert worst is not None
    assert (worst.hospital, worst.value) == ("cleveland", 0.6)  # as bad as va: first by name
    highest = found.worst["loss"]
    assert highest is not None
    assert (highest.hospital, highest.value) == ("hungary", 0.5)
    assert found.mean["auroc"] == pytest.approx(0.7)
    assert found.spread["auroc"] == pytest.approx(0.3)
    assert (found.undefined["auroc"], found.undefined["loss"], found.undefined["f1"]) == (1, 1, 4)
    assert (found.worst["f1"], found.mean["f1"], found.spread["f1"]) == (None, None, None)


def test_of_a_bias_the_worst_is_the_farthest_from_0() -> None:
    bias = Measure("bias", "Bias", None)
    each = {"a": Metrics(rows=1, bias=0.2), "b": Metrics(rows=1, bias=-3.0)}
    worst = summary(each, [bias]).worst["bias"]
    assert worst is not None
    assert (worst.hospital, worst.value) == ("b", -3)
    assert bias.arrow == "→ 0"


def test_roc_points() -> None:
    assert two([0.8, 0.6, 0.6, 0.2], [1, 1, 0, 0]).curve(0.5).roc == (
        (0, 0),
        (0, 0.5),
        (0.5, 1),
        (1, 1),
    )
    assert two([0.8, 0.6], [1, 1]).curve(0.5).roc == ()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([2, 4]))
def test_area_under_the_roc_points_is_the_auroc(seed: int, classes: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(60, 1 if classes == 2 else classes, generator=generator)
    counts = count(logits, torch.randint(0, classes, (60,), generator=generator), classes, 100, M)
    x, y = np.array(counts.curve(0.5).roc).T
    assert (np.diff(x) >= 0).all()
    assert (np.diff(y) >= 0).all()
    binned = [Ranks(*one).auroc() for one in counts.scores]  # of one bin ½, as a curve has it
    area = float(np.trapezoid(y, x))
    assert area == pytest.approx(np.mean(binned), abs=1e-5 if classes == 2 else 0.02)


def test_calibration_points() -> None:
    p = [0.1] * 4 + [0.2] * 4 + [0.3] * 4 + [0.6] * 4 + [0.9] * 4
    points = two(p, [0] * 7 + [1] + [0, 1] * 4 + [1] * 4).curve(0.5).calibration
    assert [(point.rows, point.observed) for point in points] == [
        (4, 0),
        (4, 0.25),
        (4, 0.5),
        (4, 0.5),
        (4, 1),
    ]
    middles = [point.confidence for point in points]
    assert middles == pytest.approx([0.1, 0.2, 0.3, 0.6, 0.9], abs=0.005)
    assert points[1].interval == share(1, 4)
