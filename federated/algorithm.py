"""An algorithm is three small choices, local × aggregation × server, and who takes part.

A preset only names the four; any of them can be changed in params.yaml, and a rule added as
one new file is used by its name without a preset.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from federated import plugins
from federated.errors import ConfigError

PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    # The tutorial's rule, w ← w + Σ u_i with u_i = -η∇L(θ_i)
    "sum": {"local": {"name": "gradient"}, "aggregation": {"name": "sum"}},
    # FedSGD, McMahan et al. 2017 (arXiv:1602.05629), section 2
    "fedsgd": {"local": {"name": "gradient"}, "aggregation": {"name": "mean"}},
    # Local SGD, Stich 2019 (arXiv:1805.09767), algorithm 1: H steps, then the plain mean
    "local_sgd": {
        "local": {"name": "sgd", "steps": 10},
        "aggregation": {"name": "mean", "weighted_by": "hospitals"},
    },
    # FedAvg, McMahan et al. 2017, algorithm 1: E epochs, then the mean weighted by examples
    "fedavg": {"local": {"name": "sgd"}, "aggregation": {"name": "mean"}},
}

KINDS = ("local", "aggregation", "server", "selection")
_DEFAULT_NAMES = {"local": "sgd", "aggregation": "mean", "server": "sgd", "selection": "all"}


@dataclass(frozen=True)
class Algorithm:
    """The composed rules; each is a plug-in's frozen dataclass."""

    name: str
    local: Any
    aggregation: Any
    server: Any
    selection: Any
    names: dict[str, str]

    @property
    def label(self) -> str:
        """The preset's name, and in brackets each rule that stands in place of its own."""
        own = {kind: PRESETS[self.name].get(kind, {}).get("name") for kind in KINDS}
        usual = {kind: name or _DEFAULT_NAMES[kind] for kind, name in own.items()}
        other = [f"{k} {self.names[k]}" for k in KINDS if self.names[k] != usual[k]]
        return f"{self.name} ({', '.join(other)})" if other else self.name


def compose(
    name: str,
    local: Mapping[str, Any],
    aggregation: Mapping[str, Any],
    server: Mapping[str, Any],
    selection: Mapping[str, Any],
) -> Algorithm:
    """The preset `name` with the given values over its own; null leaves what the preset sets.

    Raises ConfigError for an unknown preset, rule or option.
    """
    if name not in PRESETS:
        raise ConfigError(f"no algorithm is called {name!r}; {plugins.nearest(name, [*PRESETS])}")
    given = {"local": local, "aggregation": aggregation, "server": server, "selection": selection}
    names, rules = {}, {}
    for kind in KINDS:
        own = PRESETS[name].get(kind, {})
        merged = own | {k: v for k, v in given[kind].items() if v is not None or k not in own}
        names[kind] = merged.pop("name", _DEFAULT_NAMES[kind])
        rules[kind] = plugins.create(f"federated.{kind}", names[kind], merged, f"algorithm.{kind}")
    return Algorithm(name=name, names=names, **rules)
