"""Settings beside each other over their seeds: means, intervals, and what differences mean."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from federated.errors import WardroundError
from federated.objectives import readings
from federated.plugins import nearest
from federated.significance import Interval, Paired, Verdict, holm, interval, paired, verdict

WORST, MEAN = "worst_hospital_", "mean_hospital_"
Curve = tuple[tuple[int, float], ...]
_MEASURES = tuple(measure for reading in readings() for measure in reading.measures)


@dataclass(frozen=True)
class SeedResult:
    """What one run of a setting came to; what is undefined is left out.

    final: column → value after the last round: a metric over all hospitals under its own name,
    of the hospitals' mean and of the worst one under `mean_hospital_…`, `worst_hospital_…`.
    curves: metric → (round, value over all hospitals).
    costs: rounds_to_target, bytes_sent, seconds: those that are known.
    data: what tells the hospitals' records apart, test rows among them: figures of other records
    are not compared.
    hospitals: `hospital/metric` → value after the last round.
    """

    setting: str
    seed: int
    final: Mapping[str, float]
    curves: Mapping[str, Curve]
    costs: Mapping[str, float] = field(default_factory=dict)
    data: str = ""
    hospitals: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Difference:
    """One setting against the reference in one column; adjusted: Holm's p over all of them."""

    setting: str
    column: str
    found: Paired
    adjusted: float | None
    verdict: Verdict


@dataclass(frozen=True)
class Contrast:
    """Everything a comparison shows. settings are in order; the reference is one of them.

    means: setting → column or cost → interval over the seeds that have it.
    curves: metric → setting → (round, interval over seeds).
    """

    reference: str
    settings: tuple[str, ...]
    columns: tuple[str, ...]
    seeds: Mapping[str, tuple[int, ...]]
    means: Mapping[str, Mapping[str, Interval]]
    differences: tuple[Difference, ...]
    curves: Mapping[str, Mapping[str, tuple[tuple[int, Interval], ...]]]

    @property
    def tests(self) -> int:
        """Comparisons that the correction is over."""
        return sum(one.adjusted is not None for one in self.differences)


def contrast(
    results: Sequence[SeedResult], columns: Sequence[str], reference: str | None = None
) -> Contrast:
    """Compare settings, in the order of their first results, with the reference (the first).

    Raises WardroundError for no results, an unknown reference, or a column that no result has.
    """
    by_setting: dict[str, dict[int, SeedResult]] = {}
    for one in results:
        by_setting.setdefault(one.setting, {})[one.seed] = one
    settings = tuple(by_setting)
    if not settings:
        raise WardroundError("there is no finished run to compare")
    if reference is not None and reference not in settings:
        hint = nearest(reference, settings)
        raise WardroundError(f"no finished setting is called {reference!r}; {hint}")
    _require_columns(results, columns)
    chosen = reference or settings[0]
    return Contrast(
        reference=chosen,
        settings=settings,
        columns=tuple(columns),
        seeds={name: tuple(sorted(own)) for name, own in by_setting.items()},
        means={name: _means(own.values()) for name, own in by_setting.items()},
        differences=_differences(by_setting, columns, chosen),
        curves={m: _curves(by_setting, m) for m in metrics_of(columns)},
    )


def metric_of(column: str) -> str:
    """The metric that a column shows: `worst_hospital_auroc` → `auroc`."""
    return column.removeprefix(WORST).removeprefix(MEAN)


def metrics_of(columns: Iterable[str]) -> tuple[str, ...]:
    """The metrics behind the columns, once each, in order."""
    return tuple(dict.fromkeys(metric_of(column) for column in columns))


def higher_is_better(column: str) -> bool | None:
    """Which way is better; None for a metric that nothing is known of."""
    return next((m.higher_is_better for m in _MEASURES if m.name == metric_of(column)), None)


def label(column: str) -> str:
    """A column's name on a page."""
    hospital, of, own_metric = column.rpartition("/")
    if of:
        return f"{label(own_metric)}, {hospital}"
    metric = metric_of(column)
    own = next((m.label for m in _MEASURES if m.name == metric), metric)
    if column.startswith(WORST):
        return f"{own}, worst hospital"
    return f"{own}, mean of hospitals" if column.startswith(MEAN) else own


def sentence(one: Difference, reference: str) -> str:
    """A difference in words."""
    what, found = label(one.column), one.found
    if one.verdict == "other data":
        return f"{one.setting}: {what}: not compared, its hospitals' records are not {reference}'s"
    if one.verdict == "too few seeds":
        few = f"{found.n} common seed{'' if found.n == 1 else 's'}"
        return f"{one.setting}: {what}: too few seeds to tell ({few}, 3 are needed)"
    if one.verdict == "no difference":
        return f"{one.setting}: {what} is the same as {reference}'s with every seed"
    if one.verdict == "within noise" or found.difference is None:
        return f"{one.setting}: {what}: the difference to {reference} is within noise"
    amount = f"{abs(found.difference.mean):.3g}"
    return f"{one.setting}: {what} is {amount} {one.verdict} than {reference}'s{_judged(one)}"


def better(one: Difference) -> bool | None:
    """Is this difference a gain? None where it is no sure difference or has no good side."""
    higher = higher_is_better(one.column)
    if one.verdict not in ("higher", "lower") or higher is None:
        return None
    return (one.verdict == "higher") == higher


def rounds_to(curve: Curve, value: float, *, higher: bool) -> int | None:
    """The first round whose value is as good as `value`; None if there is none."""
    reached = (r for r, v in curve if (v >= value if higher else v <= value))
    return min(reached, default=None)


def _judged(one: Difference) -> str:
    gain = better(one)
    return "" if gain is None else f" ({'better' if gain else 'worse'})"


def _require_columns(results: Sequence[SeedResult], columns: Sequence[str]) -> None:
    known = sorted({name for one in results for name in one.final})
    for column in columns:
        if column not in known:
            raise WardroundError(f"no run has the metric {column!r}; {nearest(column, known)}")


def _means(results: Iterable[SeedResult]) -> dict[str, Interval]:
    values: dict[str, list[float]] = {}
    for one in results:
        for name, value in {**one.final, **one.costs}.items():
            values.setdefault(name, []).append(value)
    return {name: interval(found) for name, found in values.items()}


def _differences(
    by_setting: Mapping[str, Mapping[int, SeedResult]], columns: Sequence[str], reference: str
) -> tuple[Difference, ...]:
    pairs = [
        (name, column, _paired(own, by_setting[reference], column))
        for column in columns
        for name, own in by_setting.items()
        if name != reference
    ]
    tested = [i for i, (_, _, found) in enumerate(pairs) if found.p is not None]
    corrected = holm([p for _, _, found in pairs if (p := found.p) is not None])
    adjusted = dict(zip(tested, corrected, strict=True))
    others = {name for name, own in by_setting.items() if _other_data(own, by_setting[reference])}
    return tuple(
        Difference(
            name,
            column,
            found,
            adjusted.get(i),
            "other data" if name in others else verdict(found, adjusted.get(i)),
        )
        for i, (name, column, found) in enumerate(pairs)
    )


def _other_data(ours: Mapping[int, SeedResult], reference: Mapping[int, SeedResult]) -> bool:
    """Is there a common seed, but none on the same records?"""
    common = ours.keys() & reference.keys()
    return bool(common) and not any(ours[seed].data == reference[seed].data for seed in common)


def _paired(
    ours: Mapping[int, SeedResult], reference: Mapping[int, SeedResult], column: str
) -> Paired:
    """Over the seeds with which both settings have the column, on the same records."""
    pairs = [
        (ours[seed].final[column], reference[seed].final[column])
        for seed in sorted(ours.keys() & reference.keys())
        if ours[seed].data == reference[seed].data
        and column in ours[seed].final
        and column in reference[seed].final
    ]
    return paired([a for a, _ in pairs], [b for _, b in pairs])


def _curves(
    by_setting: Mapping[str, Mapping[int, SeedResult]], metric: str
) -> dict[str, tuple[tuple[int, Interval], ...]]:
    """Per setting the interval over seeds, round by round."""
    found = {}
    for name, own in by_setting.items():
        values: dict[int, list[float]] = {}
        for one in own.values():
            for number, value in one.curves.get(metric, ()):
                values.setdefault(number, []).append(value)
        found[name] = tuple((number, interval(values[number])) for number in sorted(values))
    return found
