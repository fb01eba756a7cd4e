"""What holds of every kind: metrics have measures, counts survive JSON, and refuse nonsense."""

import json
from typing import Any

import pytest
import torch

from federated.counts import merge, to_dict
from federated.errors import DataError
from federated.objectives import Objective, from_dict, readings
from federated.objectives.multilabel import Multilabel
from federated.objectives.regression import Regression
from federated.objectives.survival import Survival
from tests.federated.make import YES_NO, of_classes

KINDS: list[Objective] = [
    YES_NO,
    of_classes(3),
    Multilabel(("a", "b")),
    Regression("y"),
    Survival("t", "e"),
]


def rows(objective: Objective, n: int = 12) -> tuple[torch.Tensor, torch.Tensor]:
    """Outputs and targets of the objective's shapes; targets of 0 and 1 do for all of them."""
    generator = torch.Generator().manual_seed(3)
    outputs = torch.randn(n, objective.outputs, generator=generator)
    width = {"multilabel": (2,), "survival": (2,)}.get(objective.reading.kind, ())
    targets = torch.randint(0, 2, (n, *width), generator=generator)
    return outputs, targets if objective.reading.kind == "classification" else targets.double()


@pytest.mark.parametrize("objective", KINDS)
def test_every_metric_has_a_measure_and_the_main_ones_are_there(objective: Objective) -> None:
    reading = objective.reading
    assert reading in readings()
    counts = objective.count(*rows(objective), 10, 5)
    assert sorted(counts.metrics().values) == sorted(m.name for m in reading.measures)
    assert "loss" in counts.metrics().values
    assert {type(value) for value in counts.metrics().values.values()} <= {float, type(None)}
    assert [m.name for m in reading.compared] == list(reading.main)


@pytest.mark.parametrize("objective", KINDS)
def test_counts_survive_json_with_their_kind(objective: Objective) -> None:
    counts = objective.count(*rows(objective), 10, 5)
    text = json.dumps(to_dict(counts))
    back = from_dict(json.loads(text))
    assert type(back) is type(counts)
    assert to_dict(back) == to_dict(counts)
    assert back.metrics() == counts.metrics()


@pytest.mark.parametrize("objective", KINDS)
def test_counts_that_cannot_be_are_refused(objective: Objective) -> None:
    good = to_dict(objective.count(*rows(objective), 10, 5))
    changes: list[dict[str, Any]] = [{"rows": 1}, {"rows": -1}, {"rows": 12.0}, {"more": 1}]
    for change in [*changes, {"kind": "other"}, {"kind": None}]:
        with pytest.raises(DataError, match="counts"):
            from_dict(good | change)


def test_counts_of_two_kinds_do_not_merge() -> None:
    with pytest.raises(ValueError, match="differ in kind"):
        merge([o.count(*rows(o), 10, 5) for o in KINDS[:1] + KINDS[3:4]])


@pytest.mark.parametrize("objective", KINDS)
def test_loss_trains_and_predictions_are_named(objective: Objective) -> None:
    outputs, targets = rows(objective)
    outputs.requires_grad_()
    objective.loss(outputs, targets).backward()  # type: ignore[no-untyped-call]
    assert outputs.grad is not None
    assert bool(outputs.grad.any())
    assert objective.predictions(outputs).shape == (12, len(objective.columns))
    assert objective.strata(targets.numpy()).shape == (12,)
    assert all(type(n) is int for n in objective.tally(targets.numpy()).values())
