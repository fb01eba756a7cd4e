"""What is predicted: loss, counts, metrics and predictions of each kind of target.

One file a kind; which of them is the schema's doing, not an option. `Objective` is what they share.
"""

from collections.abc import Mapping
from typing import Any

from federated import schema
from federated.counts import Counts
from federated.errors import DataError
from federated.metrics import Reading
from federated.objectives._protocol import Objective
from federated.objectives.classification import ClassCounts, Classification
from federated.objectives.multilabel import LabelCounts, Multilabel
from federated.objectives.regression import Regression, ValueCounts
from federated.objectives.survival import Survival, SurvivalCounts
from federated.statistics import AS_IT_IS, TargetScale

__all__ = ["Objective", "from_dict", "objective_of", "reading_of", "readings"]

_COUNTS: dict[str, type[Counts]] = {
    kind.reading.kind: kind for kind in (ClassCounts, LabelCounts, ValueCounts, SurvivalCounts)
}


def objective_of(
    data: schema.TableSchema | schema.ImageSchema, target: TargetScale = AS_IT_IS
) -> Objective:
    """The objective of a schema's target. target: the scale at which a value is learnt."""
    match data.question:
        case None:
            return Classification(data.classes)
        case schema.Labels(names=names):
            return Multilabel(names)
        case schema.Value():
            return Regression(data.target, target)
        case schema.Survival(time=time, event=event):
            return Survival(time, event)


def reading_of(kind: str) -> Reading:
    """How the figures of a kind are read. Raises ValueError for a kind that is none."""
    if kind not in _COUNTS:
        raise ValueError(f"no objective is called {kind!r}; valid: {', '.join(_COUNTS)}")
    return _COUNTS[kind].reading


def from_dict(values: Mapping[str, Any]) -> Counts:
    """Counts from `counts.to_dict`'s form. Raises DataError where it is none."""
    kind = values.get("kind")
    if kind not in _COUNTS:
        raise DataError(f"counts: their kind {kind!r} is none of {', '.join(_COUNTS)}")
    return _COUNTS[kind].parse({k: v for k, v in values.items() if k != "kind"})


def readings() -> tuple[Reading, ...]:
    """Of every kind."""
    return tuple(kind.reading for kind in _COUNTS.values())
