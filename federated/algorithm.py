"""An algorithm is a few small choices: local × aggregation × server, and what stands around them.

A preset only names them; any of them can be changed in params.yaml, and a rule added as one new
file is used by its name without a preset.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from federated import plugins
from federated.errors import ConfigError

Choices = Mapping[str, Mapping[str, Any]]
_HOSPITALS_ALIKE = {"name": "mean", "weighted_by": "hospitals"}

PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    # The tutorial's rule, w ← w + Σ u_i with u_i = -η∇L(θ_i)
    "sum": {"local": {"name": "gradient"}, "aggregation": {"name": "sum"}},
    # FedSGD, McMahan et al. 2017 (arXiv:1602.05629), section 2
    "fedsgd": {"local": {"name": "gradient"}, "aggregation": {"name": "mean"}},
    # Local SGD, Stich 2019 (arXiv:1805.09767), algorithm 1: H steps, then the plain mean
    "local_sgd": {"local": {"name": "sgd", "steps": 10}, "aggregation": _HOSPITALS_ALIKE},
    # FedAvg, McMahan et al. 2017, algorithm 1: E epochs, then the mean weighted by examples
    "fedavg": {"local": {"name": "sgd"}, "aggregation": {"name": "mean"}},
    # Server optimisers: Hsu et al. 2019 (arXiv:1909.06335); Reddi et al. 2021 (arXiv:2003.00295)
    "fedavgm": {"server": {"name": "momentum"}},
    "fedadagrad": {"server": {"name": "adagrad"}},
    "fedadam": {"server": {"name": "adam"}},
    "fedyogi": {"server": {"name": "yogi"}},
    # Hospitals that differ. SCAFFOLD's and FedDyn's papers count hospitals alike; weighted by
    # examples they end at the optimum of the pooled loss, as FedSGD does
    "fedprox": {"local": {"name": "proximal"}},
    "scaffold": {"local": {"name": "scaffold"}, "server": {"name": "scaffold"}},
    "fednova": {"aggregation": {"name": "nova"}},
    "feddyn": {"local": {"name": "dyn"}, "server": {"name": "dyn"}},
    "qfedavg": {"aggregation": {"name": "qfedavg"}},
    "cyclic": {"selection": {"name": "cyclic"}},
    # Parts of the model that stay at each hospital
    "fedbn": {"personal": {"name": "norm"}},
    "fedper": {"personal": {"name": "layers"}},
    "fedrep": {"local": {"name": "rep"}, "personal": {"name": "layers"}},
    "ditto": {"personal": {"name": "ditto"}},
    "finetune": {"personal": {"name": "finetune"}},
    # Robust aggregation
    "median": {"aggregation": {"name": "median"}},
    "trimmed_mean": {"aggregation": {"name": "trimmed_mean"}},
    "krum": {"aggregation": {"name": "krum"}},
    "multi_krum": {"aggregation": {"name": "multi_krum"}},
    "bulyan": {"aggregation": {"name": "bulyan"}},
    "geometric_median": {"aggregation": {"name": "geometric_median"}},
    "centered_clipping": {"aggregation": {"name": "centered_clipping"}},
    "norm_clipping": {"preaggregation": {"name": "norm_clipping"}},
    "nnm": {"preaggregation": {"name": "nnm"}, "aggregation": {"name": "trimmed_mean"}},
    # Fewer bytes
    "topk": {"compression": {"name": "topk"}},
    "qsgd": {"compression": {"name": "qsgd"}},
    "bf16": {"compression": {"name": "bf16"}},
    # Who takes part
    "power_of_choice": {
        "selection": {"name": "power_of_choice"},
        "aggregation": _HOSPITALS_ALIKE,
    },
}

DEFAULTS = {
    "local": "sgd",
    "compression": "identity",
    "personal": "shared",
    "preaggregation": "identity",
    "aggregation": "mean",
    "server": "sgd",
    "selection": "all",
    "schedule": "constant",
}
"""Kind of rule → its name unless preset or params.yaml say otherwise; in the order of a round."""
KINDS = tuple(DEFAULTS)
_COMPUTED = frozenset({"loss_before"})  # scalars that every hospital can send


@dataclass(frozen=True)
class Algorithm:
    """The composed rules; each is a plug-in's frozen dataclass."""

    name: str
    local: Any
    compression: Any
    personal: Any
    preaggregation: Any
    aggregation: Any
    server: Any
    selection: Any
    schedule: Any
    names: dict[str, str]

    @property
    def label(self) -> str:
        """The preset's name, and in brackets each rule that stands in place of its own."""
        usual = {
            kind: PRESETS[self.name].get(kind, {}).get("name", DEFAULTS[kind]) for kind in KINDS
        }
        other = [f"{k} {self.names[k]}" for k in KINDS if self.names[k] != usual[k]]
        return f"{self.name} ({', '.join(other)})" if other else self.name

    @property
    def needs(self) -> frozenset[str]:
        """Scalars that the aggregation asks of every hospital."""
        found: frozenset[str] = getattr(self.aggregation, "needs", frozenset())
        return found

    @property
    def sums(self) -> bool:
        """Is a round's step a function of sums, so that hospitals can be summed where they train?

        Such an aggregation has `coefficient(receipt) -> int` and `of(total) -> Weights`.
        """
        summed = hasattr(self.aggregation, "coefficient")
        return summed and self.names["preaggregation"] == DEFAULTS["preaggregation"]

    @property
    def robust_aggregation(self) -> bool:
        """Does its aggregation itself withstand hospitals that send anything?"""
        return bool(getattr(self.aggregation, "robust", False))

    def weight(self, examples: int) -> int:
        """What a hospital of so many examples weighs: n_i, or 1 where hospitals count alike."""
        by_examples = getattr(self.aggregation, "weighted_by", "hospitals") == "examples"
        return examples if by_examples else 1

    @property
    def remembers(self) -> bool:
        """Does a hospital keep a state of its own for the next round, by the rules known here?"""
        residual = getattr(self.compression, "error_feedback", False)
        return bool(getattr(self.local, "pair", None)) or bool(residual)

    @property
    def robust(self) -> bool:
        """Is it meant to withstand hospitals that send anything?"""
        rules = (self.aggregation, self.preaggregation)
        return any(getattr(rule, "robust", False) for rule in rules)


def compose(name: str, choices: Choices) -> Algorithm:
    """The preset `name` with the given values over its own, by kind.

    Null leaves what the preset or the rule itself sets. Raises ConfigError for an unknown preset,
    rule or option, and for rules that cannot work together.
    """
    if name not in PRESETS:
        raise ConfigError(f"no algorithm is called {name!r}; {plugins.nearest(name, [*PRESETS])}")
    names, rules = {}, {}
    for kind in KINDS:
        own, given = PRESETS[name].get(kind, {}), choices.get(kind, {})
        merged = own | {k: v for k, v in given.items() if v is not None or k not in own}
        names[kind] = merged.pop("name", None) or DEFAULTS[kind]
        rules[kind] = plugins.create(f"federated.{kind}", names[kind], merged, f"algorithm.{kind}")
    algorithm = Algorithm(name=name, names=names, **rules)
    _fit(algorithm)
    return algorithm


def _fit(algorithm: Algorithm) -> None:
    """Raise ConfigError for rules that cannot work together."""
    names = algorithm.names
    ours, theirs = (getattr(r, "pair", None) for r in (algorithm.local, algorithm.server))
    if ours != theirs:
        kind, needed = ("server", ours) if ours else ("local", theirs)
        have = f"algorithm.{'local' if ours else 'server'}.name {needed}"
        raise ConfigError(
            f"{have} works with algorithm.{kind}.name {needed} alone (got {names[kind]})"
        )
    absent = algorithm.needs - _COMPUTED - getattr(algorithm.local, "gives", frozenset())
    if absent:
        raise ConfigError(
            f"algorithm.aggregation.name {names['aggregation']} needs each hospital's "
            f"{', '.join(sorted(absent))}, which algorithm.local.name {names['local']} does not "
            "give; choose sgd or proximal"
        )
