import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from federated.counts import Counts, merge, to_dict
from federated.errors import DataError
from federated.histograms import ONE
from federated.objectives import from_dict
from tests.federated.make import count


def log_odds(p: list[float]) -> torch.Tensor:
    return torch.logit(torch.tensor(p, dtype=torch.float64)).unsqueeze(1)


def rows(n: int, classes: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(n, 1 if classes == 2 else classes, generator=generator)
    return logits, torch.randint(0, classes, (n,), generator=generator)


def test_two_classes_by_hand() -> None:
    # P(1):  0.125 0.375 0.625 0.875
    # class:   0     1     0     1     bins of log-odds begin at -297, -24.2, 0 and 24.2
    c = count(log_odds([0.125, 0.375, 0.625, 0.875]), torch.tensor([0, 1, 0, 1]), 2, 4, 2)
    assert c.rows == 4
    assert c.confusion.tolist() == [[1, 1], [1, 1]]
    assert c.scores.tolist() == [[[0, 1, 1, 0], [0, 1, 1, 0]]]
    # two pairs in one bin, both in order and none equal; from the top 1/1 and 2/3 are of class 1
    assert c.order.tolist() == [[2, 4, 0, round(5 / 3 * ONE), 1]]
    # below ½: 0.125 + 0.375, one of class 1; above: 0.625 + 0.875, one of class 1
    assert c.calibration.tolist() == [[2, 2], [ONE // 2, 3 * ONE // 2], [1, 1]]
    assert c.brier == round((0.125**2 + 0.625**2 + 0.625**2 + 0.125**2) * ONE)
    assert c.brier2 == round(2 * (0.125**4 + 0.625**4) * ONE**2)
    losses = [-math.log(p) for p in (0.875, 0.375, 0.375, 0.875)]
    assert c.loss == round(sum(losses) * ONE)
    assert c.loss2 == pytest.approx(sum(one**2 for one in losses) * ONE**2, rel=1e-15)


def test_three_classes_by_hand() -> None:
    p = torch.tensor([[0.5, 0.25, 0.25], [0.125, 0.625, 0.25]], dtype=torch.float64)
    c = count(p.log(), torch.tensor([0, 2]), 3, 2, 2)
    assert c.confusion.tolist() == [[1, 0, 0], [0, 0, 0], [0, 1, 0]]
    assert c.scores[2].tolist() == [[1, 0], [1, 0]]
    assert c.calibration.tolist() == [[0, 2], [0, 9 * ONE // 8], [0, 1]]  # top: 0.5 and 0.625
    squares = 0.5**2 + 2 * 0.25**2 + 0.125**2 + 0.625**2 + 0.75**2
    assert c.brier == round(squares * ONE)


def test_edges_of_the_scores() -> None:
    c = count(torch.tensor([[-900.0], [0.0], [900.0]]), torch.tensor([0, 1, 1]), 2, 10, 15)
    assert c.scores[0, 0, 0] == 1
    assert c.scores[0, 1, 5] == 1
    assert c.scores[0, 1, 9] == 1
    assert c.confusion.tolist() == [[1, 0], [1, 1]]  # a logit of 0 is class 0
    assert c.loss == round(math.log(2) * ONE)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 60), st.sampled_from([2, 3, 5]), st.integers(1, 6), st.randoms(), st.data())
def test_parts_merge_to_the_whole_in_any_order(
    n: int, classes: int, parts: int, random: Any, data: Any
) -> None:
    logits, targets = rows(n, classes, data.draw(st.integers(0, 10**6)))
    owner = torch.tensor([random.randrange(parts) for _ in range(n)], dtype=torch.int64)
    pieces = [count(logits[owner == i], targets[owner == i], classes, 50, 7) for i in range(parts)]
    whole, merged = count(logits, targets, classes, 50, 7), merge(pieces)
    assert merged.rows == whole.rows
    for name in ("confusion", "scores"):
        np.testing.assert_array_equal(getattr(merged, name), getattr(whole, name))
    np.testing.assert_array_equal(merged.calibration[[0, 2]], whole.calibration[[0, 2]])
    # fixed-point sums: every part is rounded once, by ½ at most
    assert abs(merged.loss - whole.loss) <= parts + 1
    assert abs(merged.brier - whole.brier) <= parts + 1
    assert merged.loss2 == pytest.approx(whole.loss2, abs=parts + 1, rel=1e-14)
    assert merged.consistent()
    assert np.abs(merged.calibration[1] - whole.calibration[1]).max() <= parts + 1
    random.shuffle(pieces)
    assert to_dict(merge(pieces)) == to_dict(merged)
    assert to_dict(merge([merge(pieces[:1]), *pieces[1:]])) == to_dict(merged)


def test_json_round_trip() -> None:
    c = count(*rows(40, 3, 5), 3, 20, 5)
    assert to_dict(from_dict(json.loads(json.dumps(to_dict(c))))) == to_dict(c)


@pytest.mark.parametrize(
    "change",
    [
        {"rows": 3},
        {"rows": -1},
        {"rows": 2.0},
        {"loss": True},
        {"loss": math.nan},
        {"confusion": [[1, 0], [0, 2]]},
        {"confusion": [[2]]},
        {"confusion": [[1], [0, 1]]},
        {"confusion": [[3, -1], [0, 0]]},
        {"confusion": [[0.5, 0.5], [0, 1]]},
        {"confusion": [[2, 0], [0, 0]]},
        {"scores": [[1, 1]]},
        {"calibration": [[2, 0], [0, 0], [3, 0]]},
        {"calibration": [[2, 0], [0, 0]]},
        {"more": 1},
        {"rows": 2**31},
        {"loss": 2**2000},
        {"loss2": 2**100},
        {"brier": 2**60},
        {"brier2": 0},
        {"order": [[0, 0, 0, 0]]},
        {"order": [[0, 2, 0, 0, 1]]},
        {"order": [0, 0, 0, 0, 1]},
        {"confusion": [[2**62, 2**62], [2**62, 2**62]]},
        {"calibration": [[2**62, 2**62], [0, 0], [0, 0]]},
        {"calibration": [[1, 1], [2**40, 2**40], [0, 1]]},
    ],
)
def test_counts_that_cannot_be_are_refused(change: dict[str, Any]) -> None:
    good = to_dict(count(torch.tensor([[-1.0], [1.0]]), torch.tensor([0, 1]), 2, 10, 2))
    assert from_dict(good).rows == 2
    with pytest.raises(DataError, match="counts"):
        from_dict(good | change)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_logits_that_are_not_finite_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="not finite"):
        count(torch.tensor([[0.0], [bad]]), torch.tensor([0, 1]), 2, 10, 5)


def test_a_loss_too_large_to_count_is_refused() -> None:
    logits = torch.tensor([[1e308], [1e308]], dtype=torch.float64)
    with pytest.raises(ValueError, match="loss is not finite"):
        count(logits, torch.tensor([0, 0]), 2, 10, 5)


def test_shapes_and_classes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="expected"):
        count(torch.zeros(2, 2), torch.tensor([0, 1]), 2, 10, 5)
    with pytest.raises(ValueError, match="expected"):
        count(torch.zeros(3, 3), torch.tensor([0, 1]), 3, 10, 5)
    with pytest.raises(ValueError, match="class index"):
        count(torch.zeros(2, 1), torch.tensor([0, 2]), 2, 10, 5)


def test_merge_refuses_nothing_and_unlike_counts() -> None:
    def some(classes: int, bins: int) -> Counts:
        return count(*rows(4, classes, 0), classes, bins, 5)

    with pytest.raises(ValueError, match="no counts"):
        merge([])
    with pytest.raises(ValueError, match="differ"):
        merge([some(2, 10), some(2, 20)])
    with pytest.raises(ValueError, match="differ"):
        merge([some(2, 10), some(3, 10)])


def test_more_rows_than_can_be_added_exactly_are_refused() -> None:
    one = count(torch.tensor([[-1.0], [1.0]]), torch.tensor([0, 1]), 2, 10, 2)
    with pytest.raises(ValueError, match="cannot be added exactly"):
        merge([replace(one, rows=2**30), one])


def test_counts_of_another_version_are_refused() -> None:
    former = to_dict(count(torch.tensor([[-1.0], [1.0]]), torch.tensor([0, 1]), 2, 10, 2))
    del former["order"]
    with pytest.raises(DataError, match="another version of Wardround"):
        from_dict(former)
