"""The coordinator's arithmetic in one round: updates in, the next global model out."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from federated.aggregation.mean import Mean
from federated.algorithm import Algorithm
from federated.types import Aggregate, Receipt, Update, Weights
from federated.weights import exact_sum

_BY_EXAMPLES = Mean(weighted_by="examples")


def aggregate(
    algorithm: Algorithm, updates: Sequence[Update], weights: Weights, examples: Mapping[str, int]
) -> Aggregate:
    """Many updates → one aggregate, float64: pre-aggregation, aggregation, means of the rest.

    weights: the global ones; examples: hospital → n_i, of the whole federation. Running statistics
    go through the rules that guard against faulty hospitals, as changes, and through no others:
    there they are averaged by examples. Raises ValueError without updates, ConfigError with fewer
    than a robust rule needs, OverflowError for updates too large for the exact sum.
    """
    measured = frozenset(name for update in updates for name in update.buffers)
    prepared = algorithm.preaggregation.prepare([_whole(u, weights) for u in updates])
    if algorithm.robust_aggregation or not measured:
        step: Weights = algorithm.aggregation.aggregate(prepared)
    else:
        trained, changes = zip(*(_parted(u, measured) for u in prepared), strict=True)
        step = algorithm.aggregation.aggregate(trained) | _BY_EXAMPLES.aggregate(changes)
    extra = exact_sum((u.tensors, algorithm.weight(u.examples)) for u in updates).mean()
    buffers = {name: weights[name].double() + step.pop(name) for name in sorted(measured)}
    return Aggregate(step, extra, buffers, taking_part(algorithm, updates, examples))


def apply(
    algorithm: Algorithm, weights: Weights, combined: Aggregate, server: Weights
) -> tuple[Weights, Weights]:
    """The server's step with the parameters, and the new running statistics as they are."""
    stepped, state = algorithm.server.apply(weights, combined, server)
    measured = {n: t.to(weights[n].dtype) for n, t in combined.buffers.items()}
    return stepped | measured, state


def taking_part(
    algorithm: Algorithm, cohort: Sequence[Update | Receipt], examples: Mapping[str, int]
) -> float:
    """The cohort's share of the weight of all hospitals. examples: as in `aggregate`."""
    weighed = sum(algorithm.weight(one.examples) for one in cohort)
    return weighed / sum(algorithm.weight(n) for n in examples.values())


def _whole(update: Update, weights: Weights) -> Update:
    """With the changes of its running statistics among its delta."""
    changes = {n: (t.double() - weights[n].double()).to(t.dtype) for n, t in update.buffers.items()}
    return replace(update, delta=update.delta | changes, buffers={})


def _parted(update: Update, measured: frozenset[str]) -> tuple[Update, Update]:
    """What training changed, and what measuring did."""
    changes = {name: t for name, t in update.delta.items() if name in measured}
    trained = {name: t for name, t in update.delta.items() if name not in measured}
    return replace(update, delta=trained), replace(update, delta=changes)


def check_size(algorithm: Algorithm, hospitals: int) -> dict[str, int]:
    """Rule → how many faulty hospitals it tolerates among so many.

    Raises ConfigError if a rule needs more hospitals.
    """
    kinds = ("preaggregation", "aggregation")
    rules = {algorithm.names[kind]: getattr(algorithm, kind) for kind in kinds}
    return {n: r.tolerates(hospitals) for n, r in rules.items() if hasattr(r, "tolerates")}
