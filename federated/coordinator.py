"""The coordinator's arithmetic in one round: updates in, the next global model out."""

from collections.abc import Sequence

from federated.algorithm import Algorithm
from federated.types import Aggregate, Update, Weights
from federated.weights import exact_sum


def aggregate(algorithm: Algorithm, updates: Sequence[Update], hospitals: int) -> Aggregate:
    """Many updates → one aggregate, float64: pre-aggregation, aggregation, sum of extras.

    hospitals: of the whole federation. Raises ValueError without updates, ConfigError with fewer
    than a robust rule needs, OverflowError for updates too large for the exact sum.
    """
    prepared = algorithm.preaggregation.prepare(updates)
    extra = exact_sum((u.tensors, 1) for u in updates).value()
    step: Weights = algorithm.aggregation.aggregate(prepared)
    return Aggregate(step, extra, len(updates), hospitals)


def check_size(algorithm: Algorithm, hospitals: int) -> dict[str, int]:
    """Rule → how many faulty hospitals it tolerates among so many.

    Raises ConfigError if a rule needs more hospitals.
    """
    kinds = ("preaggregation", "aggregation")
    rules = {algorithm.names[kind]: getattr(algorithm, kind) for kind in kinds}
    return {n: r.tolerates(hospitals) for n, r in rules.items() if hasattr(r, "tolerates")}
