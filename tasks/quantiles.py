"""Many hospitals in a few figures: quantiles, and the worst by name."""

from collections.abc import Mapping, Sequence

import numpy as np

from federated.metrics import Measure, Metrics

_QUANTILES = {"p10": 0.1, "p50": 0.5, "p90": 0.9}
_WORST = 10


def defined(values: Metrics) -> list[tuple[str, float]]:
    """The defined fields of a Metrics record: an undefined metric is missing, not 0."""
    known = [(k, v) for k, v in values.values.items() if v is not None]
    return [("rows", float(values.rows)), *known]


def quantiles(hospitals: Mapping[str, Metrics], measures: Sequence[Measure]) -> dict[str, float]:
    """`p10_hospital/auroc` and so on, over the hospitals that have the metric.

    Linear between neighbours, as numpy's default.
    """
    values: dict[str, float] = {}
    for measure in measures:
        known = [v for m in hospitals.values() if (v := m[measure.name]) is not None]
        if known:
            found = np.quantile(known, list(_QUANTILES.values()))
            values |= {
                f"{name}_hospital/{measure.name}": float(v)
                for name, v in zip(_QUANTILES, found, strict=True)
            }
    return values


def worst(hospitals: Mapping[str, Metrics], measure: Measure) -> list[tuple[str, float]]:
    """The ten hospitals with the worst value, the worst first; equal ones by name."""
    known = [(h, v) for h, m in hospitals.items() if (v := m[measure.name]) is not None]
    return sorted(known, key=lambda one: (-measure.badness(one[1]), one[0]))[:_WORST]
