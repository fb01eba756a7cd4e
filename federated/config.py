"""A strict mirror of params.yaml. Every key is documented there, in place.

Whatever is wrong is refused before anything runs: unknown keys (with the nearest valid name),
wrong types, values out of range, and combinations that make no sense.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError, ValidationInfo, field_validator

from federated import plugins, results
from federated.algorithm import KINDS, Algorithm, compose
from federated.errors import ConfigError
from federated.sections import Section, explain, read_sections, read_yaml

Options = dict[str, Any]


class DataConfig(Section):
    """Which data, how it is cut into hospitals, and how features are scaled."""

    dataset: str
    source: Options
    hospitals: tuple[str, ...] = Field(strict=False)
    leave_out: tuple[str, ...] = Field(strict=False)
    partition: Options
    test_fraction: float = Field(gt=0, lt=1)
    validation_fraction: float = Field(ge=0, lt=1)
    min_rows: int = Field(ge=2)
    small_hospitals: Literal["refuse", "leave_out"]
    scaling: Literal["hospital", "federated", "off"]
    missing_indicators: bool
    seed: int = Field(ge=0)

    @field_validator("hospitals")
    @classmethod
    def _names_are_folders(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if not name or name != Path(name).name or name.startswith("."):
                raise ValueError(f"{name!r} cannot be the name of a hospital's folder")
            if name == results.ALL:
                raise ValueError(f"{name!r} stands for all hospitals in the reports; rename it")
        if len(set(names)) != len(names):
            raise ValueError("a hospital is listed twice")
        return names

    @field_validator("scaling", mode="before")
    @classmethod
    def _off_is_a_word(cls, scaling: object) -> object:
        """YAML reads an unquoted off as false."""
        return "off" if scaling is False else scaling

    @field_validator("validation_fraction")
    @classmethod
    def _rows_are_left_to_train(cls, fraction: float, known: ValidationInfo) -> float:
        test = known.data.get("test_fraction", 0.0)  # absent if it is itself at fault
        if test + fraction >= 1:
            raise ValueError(f"with data.test_fraction {test:g} it leaves no rows to train on")
        return fraction

    @cached_property
    def reader(self) -> Any:
        """The data set plug-in (`federated/datasets`)."""
        return plugins.create("federated.datasets", self.dataset, self.source, "data.source")

    @cached_property
    def partitioner(self) -> Any:
        """The partition plug-in (`federated/partition`)."""
        values = {k: v for k, v in self.partition.items() if k != "name"}
        name = _name(self.partition, "data.partition")
        return plugins.create("federated.partition", name, values, "data.partition")

    @property
    def hospital_column(self) -> str:
        """The raw column that names hospitals; of hospitals made up by a partition `hospital`."""
        own = self.source.get("hospital") if self.partition["name"] == "natural" else None
        return own if isinstance(own, str) else "hospital"


class AlgorithmConfig(Section):
    """A preset and what is changed in it: one section a kind of rule."""

    name: str
    local: Options
    compression: Options
    personal: Options
    preaggregation: Options
    aggregation: Options
    server: Options
    selection: Options
    schedule: Options

    @cached_property
    def rules(self) -> Algorithm:
        """The composed algorithm."""
        return compose(self.name, {kind: getattr(self, kind) for kind in KINDS})


class EvaluationConfig(Section):
    """Resolution of the counts that metrics are computed from, and where yes is said."""

    score_bins: int = Field(ge=10, le=100_000)
    calibration_bins: int = Field(ge=2, le=100)
    threshold: float = Field(default=0.5, gt=0, lt=1)


class EngineConfig(Section):
    """Who computes: the same bits, but for `batched`; and on which machines."""

    name: Literal["auto", "sequential", "workers", "batched"]
    workers: int | None = Field(ge=1)
    runner: Literal["threads", "processes", "dask", "ray"]
    address: str | None = Field(min_length=1)

    @field_validator("runner")
    @classmethod
    def _trains_one_after_another(cls, runner: str, known: ValidationInfo) -> str:
        name = known.data.get("name")  # absent if it is itself at fault
        if runner != "threads" and name in ("workers", "batched"):
            raise ValueError(
                f"engine.name {name} computes in one place; choose auto or sequential, or "
                "engine.runner threads"
            )
        return runner

    @field_validator("address")
    @classmethod
    def _is_of_a_cluster(cls, address: str | None, known: ValidationInfo) -> str | None:
        runner = known.data.get("runner", "dask")
        if address is not None and runner not in ("dask", "ray"):
            raise ValueError(f"engine.runner {runner} has no address; choose dask or ray, or null")
        return address


class FederationConfig(Section):
    """Where hospitals are: simulated here, or each at its own site."""

    mode: Literal["simulation", "deployment"]
    exchange: str = Field(min_length=1)
    key: str = Field(min_length=1)
    roster: str = Field(min_length=1)
    join_s: float = Field(gt=0)
    deadline_s: float = Field(gt=0)
    retries: int = Field(ge=0)
    pause_s: int = Field(ge=0)
    quorum: int | None = Field(ge=1)
    on_missing: Literal["reweight", "stop"]
    late: Literal["drop", "next"]
    norm_bound: float | None = Field(gt=0)

    @property
    def effect(self) -> dict[str, Any]:
        """What of it can change a number; nothing of it does in a simulation."""
        if self.mode == "simulation":
            return {}
        rules = [self.mode, self.quorum, self.on_missing, self.late, self.norm_bound]
        return {"federation": rules}


class EveryRound(Section):
    """`{every: k}`: rounds 0, k, 2k, …"""

    every: int = Field(ge=1)


class LastRounds(Section):
    """`{last: n}`: the last n rounds."""

    last: int = Field(ge=1)


KeepWeights = Literal["all", "last", "best"] | EveryRound | LastRounds
_KEEP_WEIGHTS: dict[str, type[EveryRound] | type[LastRounds]] = {
    "every": EveryRound,
    "last": LastRounds,
}


class RunConfig(Section):
    """The federation as a run: how long, from which seed, what is compared and kept."""

    rounds: int = Field(ge=1)
    seed: int = Field(ge=0)
    keep: Literal["last", "best"]
    best_by: str
    patience: int | None = Field(ge=1)
    parallel: bool
    device: Literal["auto", "cpu", "cuda"]
    baselines: tuple[Literal["alone", "pooled"], ...] = Field(strict=False)
    experiment: str | None = Field(min_length=1)
    name: str | None
    tracking_uri: str | None
    registered_model: str | Literal[False] | None
    log_every: int = Field(ge=1)
    keep_weights: KeepWeights
    hospital_runs: int = Field(ge=0)

    @field_validator("keep_weights", mode="before")
    @classmethod
    def _is_a_choice_of_rounds(cls, given: Any) -> Any:
        """One message instead of one for every form that it could have had."""
        if isinstance(given, (EveryRound, LastRounds)) or given in ("all", "last", "best"):
            return given
        if (
            isinstance(given, dict)
            and len(given) == 1
            and (key := next(iter(given))) in _KEEP_WEIGHTS
        ):
            number = given[key]
            if type(number) is int and number >= 1:
                return _KEEP_WEIGHTS[key](**given)
        raise ValueError("expected all, last, best, {every: k} or {last: n}, k and n at least 1")


class Config(Section):
    """All of params.yaml."""

    data: DataConfig
    model: Options
    algorithm: AlgorithmConfig
    evaluation: EvaluationConfig
    engine: EngineConfig
    federation: FederationConfig
    run: RunConfig

    @cached_property
    def architecture(self) -> Any:
        """The model plug-in (`models/`)."""
        values = {k: v for k, v in self.model.items() if k != "name"}
        return plugins.create("models", _name(self.model, "model"), values, "model")

    @property
    def experiment(self) -> str:
        """The MLflow experiment: the given one, or the data set's name."""
        return self.run.experiment or self.data.dataset

    @property
    def registered_model(self) -> str | None:
        """The final model's name in the registry: by default one per data set; None if off."""
        given = self.run.registered_model
        return f"wardround-{self.data.dataset}" if given is None else given or None

    def unused(self) -> list[str]:
        """Keys that are set but have no effect under the chosen names, as dotted paths."""
        rules = self.algorithm
        chosen = [("models", "model", self.model)]
        chosen += [("federated.partition", "data.partition", self.data.partition)]
        chosen += [
            (f"federated.{kind}", f"algorithm.{kind}", getattr(rules, kind) | {"name": name})
            for kind, name in rules.rules.names.items()
        ]
        found = []
        for package, where, values in chosen:
            given = {k: v for k, v in values.items() if k != "name"}
            found += [f"{where}.{k}" for k in plugins.unused(package, values["name"], given)]
        return found


def load(path: Path, overrides: Sequence[str] = ()) -> Config:
    """Read params.yaml, apply `section.key=value` overrides, and check everything.

    Raises ConfigError with every fault found.
    """
    raw = read_sections(
        path, "sections such as data: and run:", absent="; give another with --params"
    )
    for override in overrides:
        raw = _override(raw, override)
    return parse(raw, str(path))


def parse(raw: Mapping[str, Any], where: str = "params") -> Config:
    """A checked Config from plain values; builds every plug-in once so that faults show now."""
    try:
        config = Config.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(f"{where}:\n{explain(error, Config)}") from None
    run = config.run
    chooses = "best" in (run.keep, run.keep_weights) or run.patience is not None
    if chooses and not config.data.validation_fraction and not _brings_validation(config.data):
        raise ConfigError(
            "run.keep best, run.keep_weights best and run.patience choose by validation rows, and "
            "there are none: set data.validation_fraction above 0, for instance to 0.15"
        )
    _check_deployment(config)
    _ = config.data.reader, config.data.partitioner, config.architecture, config.algorithm.rules
    return config


def _check_deployment(config: Config) -> None:
    """What a deployment cannot do: it would need more of a hospital than may leave it."""
    if config.federation.mode == "simulation":
        return
    if config.algorithm.rules.names["personal"] != "shared":
        raise ConfigError(
            f"federation.mode deployment: algorithm.personal.name "
            f"{config.algorithm.rules.names['personal']} is for simulations: hospitals' own models "
            "stay at their sites, and the exported model would lack them"
        )
    if config.data.scaling == "hospital":
        raise ConfigError(
            "federation.mode deployment: data.scaling hospital is for simulations: the exported "
            "model would need every hospital's own statistics; choose federated or off"
        )
    if config.federation.late == "next" and config.algorithm.rules.remembers:
        raise ConfigError(
            "federation.late next: a hospital's own state (algorithm.local.name "
            f"{config.algorithm.rules.names['local']}, algorithm.compression.name "
            f"{config.algorithm.rules.names['compression']}) goes from round to round, and a late "
            "update would skip one; choose drop"
        )


def _brings_validation(data: DataConfig) -> bool:
    """Does the data set come with validation rows of its own?"""
    return bool(getattr(data.reader, "official_split", False))


def _override(raw: Mapping[str, Any], override: str) -> dict[str, Any]:
    """A copy of `raw` in which the dotted key has the YAML value of `section.key=value`."""
    key, equals, text = override.partition("=")
    path = key.split(".")
    if not equals or not all(path):
        raise ConfigError(f"--set {override!r}: expected section.key=value")
    try:
        value = read_yaml(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {override!r}: not a YAML value: {error}") from None
    return _set(raw, path, 0, value)


def _set(raw: Mapping[str, Any], path: Sequence[str], depth: int, value: Any) -> dict[str, Any]:
    """A copy of the section `raw` (at `depth` of `path`) with `value` at the end of `path`."""
    head = path[depth]
    if depth == len(path) - 1:
        return {**raw, head: value}
    if head not in raw:
        hint = plugins.nearest(head, sorted(raw))
        raise ConfigError(f"--set {'.'.join(path)}: there is no section {head!r}; {hint}")
    inner = raw[head]
    if not isinstance(inner, dict):
        known = ".".join(path[: depth + 1])
        raise ConfigError(f"--set {'.'.join(path)}: {known} is a value, not a section")
    return {**raw, head: _set(inner, path, depth + 1, value)}


def _name(section: Mapping[str, Any], where: str) -> str:
    name = section.get("name")
    if not isinstance(name, str):
        raise ConfigError(f"{where}.name: expected a name (got {name!r})")
    return name
