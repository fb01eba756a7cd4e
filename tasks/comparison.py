"""The final table: federated, alone and pooled, side by side, for the page and the terminal."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rich import box
from rich.table import Table
from rich.text import Text

from federated.intervals import Interval
from federated.metrics import Measure, Metrics, Reading, summary
from federated.results import Alone, Pooled, Results
from tasks.shown import MISSING, UNKNOWN, Figure, doubts, figure, number

PLAIN = "plain mean"
_FEW, _LISTED = 10, 6
"""Test rows of one outcome below which a hospital is named, and how many are."""
_OF_EVENT = frozenset({"auprc", "f1"})
"""Metrics of two classes that depend on which of them is the event."""

Figures = dict[str, Figure]


@dataclass(frozen=True)
class Row:
    """A line of the table: rows of data (None for a mean), and model → metric → value."""

    name: str
    total: bool
    train: int | None
    test: int | None
    models: dict[str, Figures]


def comparison(results: Results) -> tuple[Row, ...]:
    """A line a hospital, then the mean of hospitals, then all their rows together."""
    examples, reading = results.run.examples, results.reading
    rows = []
    for name in sorted(results.hospitals):
        ours = examples.get(name)
        models = {model: _figures(h.get(name), reading) for model, h in _hospitals(results).items()}
        test = results.hospitals[name].rows
        rows.append(Row(name, False, ours.train if ours else None, test, models))
    means = {model: _means(h, reading) for model, h in _hospitals(results).items()}
    everything = {model: _figures(found, reading) for model, found in _overall(results).items()}
    train = sum(e.train for e in examples.values())
    return (
        *rows,
        Row("hospital mean", True, None, None, means),
        Row("all hospitals", True, train, results.overall.rows, everything),
    )


def best(row: Row, measure: Measure) -> str | None:
    """The model with the best value, if it is beyond noise: no other model's 95 % interval reaches
    its own. None where there is no such model, or a figure has no interval."""
    figures = {name: own[measure.name] for name, own in row.models.items()}
    known = {n: f.value for n, f in figures.items() if f.value is not None}
    if len(known) < 2:
        return None
    winner = min(known, key=lambda name: measure.badness(known[name]))
    ours = figures[winner].interval
    theirs = [figures[name].interval for name in known if name != winner]
    return winner if all(_apart(ours, t) for t in theirs) else None


def _apart(left: Interval | None, right: Interval | None) -> bool:
    if left is None or right is None:
        return False
    return left.high < right.low or right.high < left.low


def titled(measure: Measure, results: Results) -> str:
    """The measure's label, with the class that it is about: `AUPRC (died)`."""
    event = results.run.event
    of_event = event is not None and measure.name in _OF_EVENT
    return f"{measure.label} ({event})" if of_event else measure.label


def worst_in_words(results: Results, measure: Measure) -> str | None:
    """The worst hospital, its interval and rows; whether it is worse than all rows beyond noise."""
    worst = results.worst_hospital[measure.name]
    if worst is None:
        return None
    here = results.hospitals[worst.hospital]
    shown, rows = figure(here, measure.name), f"{here.rows} test rows"
    if shown.interval is None:
        return f"{worst.hospital}, {rows}"
    noise = "" if _beyond(shown, results, measure) else ", within noise of all"
    return f"{worst.hospital}, {rows}, {shown.span}{noise}"


def _beyond(shown: Figure, results: Results, measure: Measure) -> bool:
    """Is the whole interval of the worst hospital on the bad side of the figure over all rows?"""
    overall = results.overall[measure.name]
    if shown.interval is None or overall is None:
        return False
    return all(measure.badness(limit) > measure.badness(overall) for limit in shown.interval)


def table(results: Results) -> Table:
    """The final table for the terminal, 80 columns wide with short names.

    The headline metric has its interval; what robustness cost stands below, the plain mean's other
    figures on the page alone.
    """
    reading = results.reading
    rows = [_without(row, PLAIN) for row in comparison(results)]
    shown = reading.compared[:2]
    drawn = Table(
        title=Text(f"{results.run.dataset}: {results.run.model} by {results.run.algorithm}"),
        caption=Text("\n".join(_notes(results, rows, shown))),
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 0, 0, 1),
    )
    drawn.add_column("Hospital", overflow="fold")
    drawn.add_column("Test\nrows", justify="right", no_wrap=True)
    for i, measure in enumerate(shown):
        for j, model in enumerate(rows[0].models):
            name = model.replace("federated", "feder-\nated")
            title = f"{measure.short or measure.label}\n{name}"
            drawn.add_column(title, justify="right", no_wrap=True, vertical="bottom")
            if i == j == 0:
                drawn.add_column("95 %", no_wrap=True)
    for i, row in enumerate(rows):
        count = "" if row.test is None else str(row.test)
        cells = [
            Text(row.name, style="bold" if row.total else ""),
            Text(count),
            *_cells(row, shown),
        ]
        drawn.add_row(*cells, end_section=i == len(rows) - 3)
    return drawn


def _cells(row: Row, shown: Sequence[Measure]) -> list[Text]:
    cells = []
    for measure in shown:
        winner = best(row, measure)
        for model, figures in row.models.items():
            found = figures[measure.name]
            cells.append(Text(found.text, style="bold" if model == winner else ""))
            if len(cells) == 1:
                cells.append(Text(found.span.replace("0.", ".")))
    return cells


def _notes(results: Results, rows: Sequence[Row], shown: Sequence[Measure]) -> list[str]:
    reading, cost = results.reading, robustness_cost(results)
    every = [own[m.name] for row in rows for own in row.models.values() for m in shown]
    dashes = any(f.value is None for f in every)
    notes = [f"{MISSING} undefined: {reading.undefined_short}."] if dashes else []
    if len(rows[0].models) > 1:
        notes.append("Bold: best beyond noise (95 % intervals apart).")
    if results.run.event is not None:
        notes.append(f"The event is {results.run.event!r}.")
    notes += [f"{text}." for text in (few_events(results), doubts(every)) if text is not None]
    notes += [*results.overall.notes]
    return notes + ([f"What robustness cost {cost}."] if cost else [])


def few_events(results: Results) -> str | None:
    """The hospitals whose figures rest on few test rows with the event, or without it; None if
    there are none such, or no event."""
    few = []
    for name in sorted(results.hospitals):
        here = results.hospitals[name]
        if results.run.event is None or here.prevalence is None:
            continue
        events = round(here.prevalence * here.rows)
        if min(events, here.rows - events) < _FEW:
            few.append(f"{name} {events} of {here.rows}")
    shown = ", ".join(few[:_LISTED]) + (f" and {len(few) - _LISTED} more" * (len(few) > _LISTED))
    return f"Few test rows with or without the event: {shown}" if few else None


def _without(row: Row, model: str) -> Row:
    return replace(row, models={name: f for name, f in row.models.items() if name != model})


def _figures(found: Metrics | None, reading: Reading) -> Figures:
    return {m.name: figure(found, m.name) for m in reading.measures}


def _means(hospitals: dict[str, Metrics], reading: Reading) -> Figures:
    mean = summary(hospitals, reading.measures).mean
    return {m.name: UNKNOWN if (v := mean[m.name]) is None else Figure(v) for m in reading.measures}


def robustness_cost(results: Results) -> str | None:
    """What a robust rule cost the hospital with the fewest training rows, in words."""
    plain, examples = results.baselines.plain, results.run.examples
    if plain is None:
        return None
    smallest = min(sorted(examples), key=lambda name: examples[name].train)
    head = results.reading.headline
    ours, theirs = results.hospitals[smallest][head.name], plain.hospitals[smallest][head.name]
    text = (
        f"{smallest}, with {examples[smallest].train} training rows the smallest hospital: "
        f"{head.label} {number(ours)} by {results.run.algorithm}, {number(theirs)} by the "
        f"{PLAIN}"
    )
    return text if ours is None or theirs is None else f"{text} ({ours - theirs:+.3f})"


def _hospitals(results: Results) -> dict[str, dict[str, Metrics]]:
    """model → its metrics per hospital, for the models that were trained."""
    alone, pooled, plain = _baselines(results)
    found = {"federated": results.hospitals}
    found |= {"alone": alone.hospitals} if alone else {}
    found |= {"pooled": pooled.hospitals} if pooled else {}
    return found | ({PLAIN: plain.hospitals} if plain else {})


def _overall(results: Results) -> dict[str, Metrics]:
    alone, pooled, plain = _baselines(results)
    found = {"federated": results.overall}
    found |= {"alone": alone.all} if alone else {}
    found |= {"pooled": pooled.all} if pooled else {}
    return found | ({PLAIN: plain.all} if plain else {})


def _baselines(results: Results) -> tuple[Alone | None, Pooled | None, Pooled | None]:
    found = results.baselines
    return found.alone, found.pooled, found.plain
