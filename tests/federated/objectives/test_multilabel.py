from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle

from federated.errors import ConfigError
from federated.objectives import objective_of
from federated.objectives.multilabel import LabelCounts, Multilabel
from federated.schema import Labels, TableSchema

THREE = Multilabel(("a", "b", "c"))
BINS = 1000


def log_odds(p: list[list[float]]) -> torch.Tensor:
    return torch.logit(torch.tensor(p, dtype=torch.float64))


def drawn(n: int, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Bins, log-odds in their middle, so that binning loses nothing, and labels."""
    generator = torch.Generator().manual_seed(seed)
    steps = torch.randint(0, BINS, (n, 3), generator=generator)
    labels = torch.randint(0, 2, (n, 3), generator=generator).double()
    return steps, torch.logit((steps.double() + 0.5) / BINS), labels


def test_by_hand() -> None:
    # rows   a: .8 .4   b: .3 .6   c: .1 .2; labels a: 1 0, b: 1 1, c: 0 0
    logits = log_odds([[0.8, 0.3, 0.1], [0.4, 0.6, 0.2]])
    counts = THREE.count(logits, torch.tensor([[1.0, 1, 0], [0, 1, 0]]), BINS, 15)
    found = counts.metrics()
    assert found["subset_accuracy"] == 1 / 2  # the first row's b is missed
    assert found["hamming_loss"] == 1 / 6
    assert found["auroc"] == 1  # of a alone: all rows have b, none has c
    # together, with: .8 .3 .6, without: .1 .4 .2; .3 is below .4, one pair of nine
    assert found["auroc_micro"] == 8 / 9
    assert found["f1"] == pytest.approx((1 + 2 / 3) / 2)  # a, and b with a miss; c has no row
    squares = 0.2**2 + 0.7**2 + 0.1**2 + 0.4**2 + 0.4**2 + 0.2**2
    assert found["brier"] == pytest.approx(squares / 6, abs=1e-9)
    assert counts.confusion.tolist() == [[1, 0, 0, 1], [0, 0, 1, 1], [2, 0, 0, 0]]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(6, 40))
def test_equals_scikit_learn(seed: int, n: int) -> None:
    steps, logits, y = drawn(n, seed)
    y[:2] = torch.tensor([[0.0, 0, 0], [1, 1, 1]])  # every label occurs and is absent
    p, said = torch.sigmoid(logits).numpy(), (logits > 0).int().numpy()
    found = THREE.count(logits, y, BINS, 15).metrics()
    for name, average in (("", "macro"), ("_micro", "micro")):
        roc = oracle.roc_auc_score(y, steps, average=average)
        assert found[f"auroc{name}"] == pytest.approx(roc, abs=1e-12)
        precision = oracle.average_precision_score(y, steps, average=average)
        assert found[f"auprc{name}"] == pytest.approx(precision, abs=2**-32)
    f1 = oracle.f1_score(y, said, average="macro", zero_division=0)
    assert found["f1"] == pytest.approx(f1, abs=1e-12)
    assert found["subset_accuracy"] == pytest.approx(oracle.accuracy_score(y, said), abs=1e-12)
    assert found["hamming_loss"] == pytest.approx(oracle.hamming_loss(y, said), abs=1e-12)
    loss = np.mean([oracle.log_loss(y[:, i], p[:, i], labels=[0, 1]) for i in range(3)])
    assert found["loss"] == pytest.approx(loss, abs=2**-32)
    assert THREE.loss(logits, y).item() == pytest.approx(loss, abs=1e-12)
    brier = np.mean([oracle.brier_score_loss(y[:, i], p[:, i]) for i in range(3)])
    assert found["brier"] == pytest.approx(brier, abs=2**-32)


def test_weights_are_those_of_repeated_rows() -> None:
    _, logits, y = drawn(4, 1)
    times = torch.tensor([1, 3, 2, 1])
    repeated = THREE.loss(logits.repeat_interleave(times, 0), y.repeat_interleave(times, 0))
    torch.testing.assert_close(THREE.loss(logits, y, times.double()), repeated)


def test_labels_that_nobody_or_everybody_has_leave_the_order_undefined() -> None:
    found = THREE.count(torch.zeros(2, 3), torch.tensor([[0.0, 1, 0], [0, 1, 0]]), 10, 5).metrics()
    assert (found["auroc"], found["auprc"]) == (None, None)
    assert found["auroc_micro"] == 0.5
    nobody = THREE.count(torch.zeros(0, 3), torch.zeros(0, 3), 10, 5).metrics()
    assert set(nobody.values.values()) == {None}


def test_refusals() -> None:
    with pytest.raises(ValueError, match="neither 0 nor 1"):
        THREE.count(torch.zeros(1, 3), torch.tensor([[0.0, 0.5, 1]]), 10, 5)
    with pytest.raises(ValueError, match="do not fit"):
        THREE.loss(torch.zeros(2, 3), torch.zeros(2, 2))
    with pytest.raises(ValueError, match="not finite"):
        THREE.count(torch.full((1, 3), torch.nan), torch.zeros(1, 3), 10, 5)
    with pytest.raises(ConfigError, match="class_weights need classes"):
        THREE.row_weights(torch.zeros(2, 3))


def test_the_schemas_labels_make_it() -> None:
    schema = TableSchema(columns=(), target="y", question=Labels(names=("a", "b", "c")))
    assert objective_of(schema) == THREE
    assert (THREE.outputs, THREE.columns) == (3, ("a", "b", "c"))
    torch.testing.assert_close(THREE.predictions(torch.zeros(1, 3)), torch.full((1, 3), 0.5))


def good() -> LabelCounts:
    """Label a: one hit, one miss; label b: one right absence, one hit."""
    said, labels = torch.tensor([[2.0, -2], [-2, 2]]), torch.tensor([[1.0, 0], [1, 1]])
    return Multilabel(("a", "b")).count(said, labels, 4, 2)


def test_counts_that_agree() -> None:
    one = good()
    assert one.confusion.tolist() == [[0, 0, 1, 1], [1, 0, 0, 1]]
    assert one.right == 1
    assert one.consistent()
    assert replace(one, right=2).consistent()


def contradictions() -> dict[str, LabelCounts]:
    """Counts with one fault each; all else agrees."""
    one = good()
    rows, confidence, hits = one.calibration
    moved = one.scores.copy()
    moved[0, 1] -= one.scores[0, 1]
    moved[0, 0] += one.scores[0, 1]
    wide = np.zeros((2, 1), dtype=np.int64)
    return {
        "five cells": replace(one, confusion=np.hstack([one.confusion, wide])),
        "three planes": replace(
            one, scores=np.concatenate([one.scores, np.zeros_like(one.scores[:, :1])], axis=1)
        ),
        "one label": Multilabel(("a",)).count(torch.zeros(2, 1), torch.ones(2, 1), 4, 2),
        "calibration": replace(one, calibration=np.vstack([one.calibration, rows])),
        "confusion": replace(one, confusion=one.confusion + np.array([1, 0, 0, 0])),
        "scores": replace(one, scores=one.scores + np.array([[1], [0]]) * [1, 0, 0, 0]),
        "labels": replace(one, scores=moved),
        "cells": replace(one, calibration=np.stack([rows + 1, confidence, hits])),
        "hits": replace(one, calibration=np.stack([rows, confidence, rows + 1])),
        "right": replace(one, right=3),
    }


@pytest.mark.parametrize("fault", sorted(contradictions()))
def test_counts_that_contradict_themselves(fault: str) -> None:
    assert contradictions()[fault].consistent() is False


def test_encode_strata_and_tally() -> None:
    labels = np.array([[1.0, 0, 1], [0, 0, 1]])
    assert THREE.encode(labels) is labels
    assert THREE.strata(labels).tolist() == [0, 0]
    assert THREE.tally(labels) == {"a": 1, "b": 0, "c": 2}
