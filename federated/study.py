"""A study: settings × seeds of one question, from a YAML file to the runs it asks for.

Values are given as dotted keys of params.yaml, as in `--set`. Each run's overrides stand in this
order, the later one counts: no baselines, `base`, the setting's own, the grid's, the seed.
"""

import itertools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, JsonValue, field_validator, model_validator

from federated import plugins
from federated.sections import Section, read_record

Values = dict[str, JsonValue]
_OWN = ("run.seed", "run.experiment", "run.name", "run.registered_model")
_FOLDER = re.compile(r"[\w][\w.,=+@ -]*")


Figure = Annotated[
    tuple[float, Annotated[float, Field(ge=0)], Annotated[int, Field(ge=1)]], Field(strict=False)
]
"""Mean, standard deviation over seeds, and how many seeds."""


class Target(Section):
    """How many rounds until `metric`, over all hospitals, is as good as `value`?"""

    metric: str
    value: float


class Study(Section):
    """A study file. See docs/studies.md."""

    name: str
    params: str | None = None
    base: Values = Field(default_factory=dict)
    seeds: tuple[int, ...] = Field(strict=False, min_length=1)
    settings: dict[str, Values | None] = Field(min_length=1)
    grid: dict[str, list[JsonValue]] = Field(default_factory=dict)
    target: Target | None = None
    metrics: tuple[str, ...] = Field(("auroc", "accuracy", "loss"), strict=False, min_length=1)
    reference: str | None = None
    """The setting that the others are compared with; the first by default."""
    published: dict[str, dict[str, Figure]] = Field(default_factory=dict)
    """setting → column → what others have published; `hospital/metric` is a hospital's own."""

    @field_validator("name")
    @classmethod
    def _name_is_a_folder(cls, name: str) -> str:
        return _folder(name)

    @field_validator("seeds")
    @classmethod
    def _seeds_differ(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if min(seeds) < 0:
            raise ValueError("a seed must be at least 0")
        if len(set(seeds)) != len(seeds):
            raise ValueError("a seed is listed twice")
        return seeds

    @field_validator("grid")
    @classmethod
    def _grid_has_values(cls, grid: dict[str, list[JsonValue]]) -> dict[str, list[JsonValue]]:
        for key, values in grid.items():
            if not values:
                raise ValueError(f"{key} has no values")
        return grid

    @model_validator(mode="after")
    def _leaves_to_the_study_what_is_its_own(self) -> "Study":
        own = {key for values in self.settings.values() for key in values or ()}
        for key in (*self.base, *self.grid, *sorted(own)):
            if key in _OWN:
                raise ValueError(f"{key} is set by the study itself; leave it out")
        known = [*variants(self)]
        if self.reference is not None and self.reference not in known:
            hint = plugins.nearest(self.reference, known)
            raise ValueError(f"reference: no setting is called {self.reference!r}; {hint}")
        return self


@dataclass(frozen=True)
class StudyRun:
    """One run of a study; overrides as in `--set`."""

    setting: str
    seed: int
    overrides: tuple[str, ...]

    @property
    def label(self) -> str:
        """Its name in MLflow, on Prefect's page and in messages."""
        return f"{self.setting} · seed {self.seed}"

    @property
    def folder(self) -> Path:
        """Where its results lie, relative to the study's folder."""
        return Path(self.setting) / f"seed-{self.seed}"


def read_study(path: Path) -> Study:
    """Read a study file. Raises ConfigError with every fault found."""
    return read_record(path, Study, "keys such as name: and settings:")


def variants(study: Study) -> dict[str, tuple[Values, ...]]:
    """Setting's name → the values it stands for, the later ones over the earlier ones.

    With a grid every setting is crossed with it: `fedavg_lr=0.01`. Raises ValueError if a name
    cannot be a folder, or two settings get the same.
    """
    found: dict[str, tuple[Values, ...]] = {}
    points = [
        dict(zip(study.grid, p, strict=True)) for p in itertools.product(*study.grid.values())
    ]
    for name, own in study.settings.items():
        for point in points:
            full = _folder("_".join([name, *_suffixes(point)]))
            if full in found:
                raise ValueError(f"two settings are called {full!r}; rename one")
            found[full] = (own or {}, point)
    return found


def runs(study: Study) -> tuple[StudyRun, ...]:
    """Every run: all settings with the first seed, then all with the second, and so on.

    So a fault of any setting shows early.
    """
    settings = variants(study)
    return tuple(
        StudyRun(name, seed, _overrides(study, name, settings[name], seed))
        for seed in study.seeds
        for name in settings
    )


def _overrides(study: Study, name: str, values: tuple[Values, ...], seed: int) -> tuple[str, ...]:
    own: Values = {
        "run.registered_model": False,
        "run.experiment": study.name,
        "run.name": StudyRun(name, seed, ()).label,
        "run.seed": seed,
    }
    layers: list[Mapping[str, JsonValue]] = [{"run.baselines": []}, study.base, *values, own]
    return tuple(
        f"{key}={json.dumps(value, ensure_ascii=False)}"
        for layer in layers
        for key, value in layer.items()
    )


def _suffixes(point: Values) -> list[str]:
    """`lr=0.01` of `algorithm.local.lr: 0.01`; the whole key where the last part is not enough."""
    last = [key.rpartition(".")[2] for key in point]
    return [
        f"{short if last.count(short) == 1 else key}={_plain(value)}"
        for (key, value), short in zip(point.items(), last, strict=True)
    ]


def _plain(value: Any) -> str:
    """A grid's value as part of a folder's name."""
    text = value if isinstance(value, str) else json.dumps(value, separators=(",", "="))
    return re.sub(r"[^\w.,=+@-]", "", text)


def _folder(name: str) -> str:
    if not _FOLDER.fullmatch(name):
        raise ValueError(f"{name!r} cannot be a folder's name: use letters, digits, _ and -")
    return name
