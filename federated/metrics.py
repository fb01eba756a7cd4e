"""Metrics as records: what each is called, and how hospitals differ in it.

What is undefined is None, never 0, 1 or NaN. The figures themselves are worked out from counts,
each objective's in its own file (`federated/objectives/`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from pydantic import ConfigDict, Field

from federated.intervals import Estimate, Interval
from federated.schema import Record

RARE = 0.05
"""A share of rows with the event below which accuracy says little: always no is right for 95 %."""
SHOWN = 0.005
"""How far off a figure must possibly be for that to be shown beside it."""


@dataclass(frozen=True)
class Measure:
    """A metric's key, its name on a page and in narrow tables, and which way is better.

    higher_is_better: None where nearer to 0 is.
    """

    name: str
    label: str
    higher_is_better: bool | None
    short: str | None = None

    def badness(self, value: float) -> float:
        """The greater, the worse."""
        return {True: -value, False: value, None: abs(value)}[self.higher_is_better]

    @property
    def arrow(self) -> str:
        """Which way is better, as a sign."""
        return {True: "↑", False: "↓", None: "→ 0"}[self.higher_is_better]

    @property
    def in_a_sentence(self) -> str:
        """The label, its first letter small unless it begins an abbreviation such as AUROC."""
        word = self.label.split()[0]
        plain = word[1:].islower()
        return self.label[0].lower() + self.label[1:] if plain else self.label


@dataclass(frozen=True)
class Reading:
    """How the figures of one kind of question are read.

    measures: all of them, most telling first. main: names of those that tables compare models by,
    the headline first. loss: what the loss is, with its unit. undefined: when a metric is missing;
    undefined_short: the same in few words. groups: what coverage counts rows by.
    counted: what a hospital sends to evaluate.
    """

    kind: str
    measures: tuple[Measure, ...]
    main: tuple[str, ...]
    loss: str
    undefined: str
    undefined_short: str
    groups: str
    counted: str
    main_if_rare: tuple[str, ...] | None = None

    def at(self, prevalence: float | None) -> "Reading":
        """As the figures are read where this share of the rows has the event."""
        rare = prevalence is not None and min(prevalence, 1 - prevalence) < RARE
        return replace(self, main=self.main_if_rare) if rare and self.main_if_rare else self

    def measure(self, name: str) -> Measure:
        """The measure of that name."""
        return next(m for m in self.measures if m.name == name)

    @property
    def headline(self) -> Measure:
        """The one figure to name if there is room for one."""
        return self.measure(self.main[0])

    @property
    def second(self) -> Measure:
        """The figure to name beside it."""
        return self.measure(self.main[1])

    @property
    def compared(self) -> tuple[Measure, ...]:
        """The measures of `main`."""
        return tuple(self.measure(name) for name in self.main)


class Measured(Record):
    """A record that ends in metrics by name, as the objective has them; flat when written."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, float | None]

    @property
    def values(self) -> dict[str, float | None]:
        """metric → value; None where undefined."""
        return dict(self.__pydantic_extra__)

    def __getitem__(self, name: str) -> float | None:
        return self.__pydantic_extra__[name]


def _empty(value: object) -> bool:
    return not value and value != 0


class Metrics(Measured):
    """Metrics over some test rows; None where undefined (no rows, one class among them, …).

    prevalence: the share of rows with the event, of labels their mean; None of other questions.
    intervals: metric → its 95 % interval, where it has one. bounds: metric → how far off it can be
    for being worked out from bins. notes: sentences on figures that may mislead.
    """

    rows: int
    prevalence: float | None = Field(default=None, exclude_if=_empty)
    intervals: dict[str, Interval] = Field(default={}, exclude_if=_empty)
    bounds: dict[str, float] = Field(default={}, exclude_if=_empty)
    notes: tuple[str, ...] = Field(default=(), exclude_if=_empty)

    def interval(self, name: str) -> Interval | None:
        """The 95 % interval of a metric."""
        return self.intervals.get(name)

    def doubtful(self, name: str) -> float | None:
        """How far off the metric can be for its bins, if that is worth showing."""
        bound = self.bounds.get(name, 0.0)
        return bound if bound > SHOWN else None


def metrics(
    rows: int,
    found: Mapping[str, Estimate],
    bounds: Mapping[str, float | None] | None = None,
    prevalence: float | None = None,
    notes: tuple[str, ...] = (),
) -> Metrics:
    """Metrics of figures with their intervals."""
    values = {name: one.value for name, one in found.items()}
    return Metrics(
        rows=rows,
        prevalence=prevalence,
        intervals={name: one.interval for name, one in found.items() if one.interval is not None},
        bounds={name: bound for name, bound in (bounds or {}).items() if bound is not None},
        notes=notes,
        **values,
    )


class Worst(Record):
    """The hospital that a metric is worst for."""

    hospital: str
    value: float


class Summary(Record):
    """Metric → how hospitals differ; None where no hospital has the metric."""

    worst: dict[str, Worst | None]
    mean: dict[str, float | None]
    spread: dict[str, float | None]
    """Largest less smallest."""
    undefined: dict[str, int]
    """Number of hospitals without the metric."""


def summary(per_hospital: Mapping[str, Metrics], measures: Sequence[Measure]) -> Summary:
    """Worst hospital, mean, spread and number undefined, per metric, over those that have it.

    Of hospitals equally bad, the first by name.
    """
    worst: dict[str, Worst | None] = {}
    mean: dict[str, float | None] = {}
    spread: dict[str, float | None] = {}
    undefined: dict[str, int] = {}
    for measure in measures:
        found = {h: per_hospital[h][measure.name] for h in sorted(per_hospital)}
        values = {h: v for h, v in found.items() if v is not None}
        undefined[measure.name] = len(found) - len(values)
        worst[measure.name] = mean[measure.name] = spread[measure.name] = None
        if values:
            name = max(values, key=lambda h: measure.badness(values[h]))
            worst[measure.name] = Worst(hospital=name, value=values[name])
            mean[measure.name] = fmean(values.values())
            spread[measure.name] = max(values.values()) - min(values.values())
    return Summary(worst=worst, mean=mean, spread=spread, undefined=undefined)


def ratio(part: int, whole: int) -> float | None:
    """part / whole; None of nothing."""
    return part / whole if whole else None
