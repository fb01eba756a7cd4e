"""The final table: federated, alone and pooled, side by side, for the page and the terminal."""

from dataclasses import dataclass, replace

from rich import box
from rich.table import Table
from rich.text import Text

from federated.metrics import Measure, Metrics, Reading, summary
from federated.results import Alone, Pooled, Results

MISSING = "—"
PLAIN = "plain mean"

Figures = dict[str, float | None]


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
    means = {model: summary(h, reading.measures).mean for model, h in _hospitals(results).items()}
    everything = {model: _figures(found, reading) for model, found in _overall(results).items()}
    train = sum(e.train for e in examples.values())
    return (
        *rows,
        Row("hospital mean", True, None, None, means),
        Row("all hospitals", True, train, results.overall.rows, everything),
    )


def best(row: Row, measure: Measure) -> str | None:
    """The model with the best value as shown; None where there is no single one."""
    values = {name: figures[measure.name] for name, figures in row.models.items()}
    shown = {name: round(value, 3) for name, value in values.items() if value is not None}
    if len(shown) < 2:
        return None
    least = min(map(measure.badness, shown.values()))
    winners = [name for name, value in shown.items() if measure.badness(value) == least]
    return winners[0] if len(winners) == 1 else None


def number(value: float | None) -> str:
    """Three decimals, or a dash for what is undefined."""
    return MISSING if value is None else f"{value:.3f}"


def table(results: Results) -> Table:
    """The final table for the terminal, 80 columns wide with short names.

    What robustness cost stands below it, the plain mean's other figures on the page alone.
    """
    reading, cost = results.reading, robustness_cost(results)
    rows = [_without(row, PLAIN) for row in comparison(results)]
    shown = reading.compared[:2]
    note = f"{MISSING} undefined: {reading.undefined_short}. Bold: best of the models."
    drawn = Table(
        title=Text(f"{results.run.dataset}: {results.run.model} by {results.run.algorithm}"),
        caption=f"{note}\nWhat robustness cost {cost}." if cost else note,
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    drawn.add_column("Hospital", overflow="fold")
    drawn.add_column("Test\nrows", justify="right", no_wrap=True)
    for measure in shown:
        for model in rows[0].models:
            title = f"{measure.short or measure.label}\n{model}"
            drawn.add_column(title, justify="right", no_wrap=True, min_width=len(model))
    for i, row in enumerate(rows):
        count = "" if row.test is None else str(row.test)
        cells = [Text(row.name, style="bold" if row.total else ""), Text(count)]
        for measure in shown:
            winner = best(row, measure)
            for model, figures in row.models.items():
                style = "bold" if model == winner else ""
                cells.append(Text(number(figures[measure.name]), style=style))
        drawn.add_row(*cells, end_section=i == len(rows) - 3)
    return drawn


def _without(row: Row, model: str) -> Row:
    return replace(row, models={name: f for name, f in row.models.items() if name != model})


def _figures(found: Metrics | None, reading: Reading) -> Figures:
    return {m.name: None if found is None else found[m.name] for m in reading.measures}


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
