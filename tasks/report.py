"""report.html: the results in `reports/` as one page that needs nothing beside it.

Rendering only: every figure is read from metrics.json, evaluation.json and rounds.csv, and the
same files give the same bytes.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from federated.errors import WardroundError
from federated.metrics import Measure, Metrics, Reading, summary
from federated.results import ALL, Alone, Curves, Pooled, Results, RoundRow
from federated.schema import Coverage
from tasks import plots
from tasks.comparison import (
    best,
    comparison,
    few_events,
    robustness_cost,
    table,
    titled,
    worst_in_words,
)
from tasks.coverage import notes
from tasks.files import write_atomic
from tasks.page import environment
from tasks.report_files import (
    CURVES,
    REPORT,
    RESULTS,
    ROUNDS,
    read_curves,
    read_results,
    read_rounds,
)
from tasks.shown import MISSING, Figure, doubts, figure, number, span

__all__ = ["html", "render", "table"]

_FLOAT32 = 4  # bytes


@dataclass(frozen=True)
class Tile:
    """A key figure: what it is, its value, and what to know of it."""

    label: str
    value: str
    note: str


def render(folder: Path) -> Path:
    """Write report.html from the results in `folder`; returns its path.

    Raises WardroundError naming a file that is missing, malformed or of another run.
    """
    results, curves = read_results(folder), read_curves(folder)
    rows = read_rounds(folder / ROUNDS)
    _same_hospitals(folder, results, curves)
    path = folder / REPORT
    write_atomic(path, html(results, curves, rows).encode())
    return path


def html(results: Results, curves: Curves, rounds: tuple[RoundRow, ...]) -> str:
    """The page. Names are escaped; only the plots, which hold none, go in as they are."""
    page = environment()
    page.filters["number"] = number
    page.filters["span"] = span
    page.filters["thousands"] = lambda n: f"{n:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")
    return page.get_template(REPORT).render(**_context(results, curves, rounds))


def _context(results: Results, curves: Curves, rounds: tuple[RoundRow, ...]) -> dict[str, Any]:
    """What the template shows."""
    style = plots.lines(sorted(results.hospitals))
    return {
        "results": results,
        "run": results.run,
        "hospitals": sorted(results.hospitals),
        "coverage": [curves.coverage[name] for name in sorted(curves.coverage)],
        "notes": notes([curves.coverage[name] for name in sorted(curves.coverage)]),
        "total": _total([*curves.coverage.values()]),
        "tiles": _tiles(results),
        "rows": comparison(results),
        "validated": sum(one.validation for one in results.run.examples.values()),
        "reading": results.reading,
        "compared": results.reading.compared,
        "measures": results.reading.measures,
        "robustness_cost": robustness_cost(results),
        "best": best,
        "figure": figure,
        "titled": {m.name: titled(m, results) for m in results.reading.measures},
        "worst": {m.name: worst_in_words(results, m) for m in results.reading.measures},
        "doubts": doubts(_all_figures(results)),
        "few_events": few_events(results),
        "event": results.run.event,
        "threshold": results.run.threshold,
        "at_all": [(name, curves.hospitals[name]) for name in sorted(curves.hospitals)]
        + [("all hospitals", curves.overall)],
        "missing": MISSING,
        "legend": list({line.label: line for line in style.values()}.values()),
        "plots": _plots(results.reading, rounds, style),
        "curves": _curves(curves, style, results.run.event),
        "least_rows": plots.LEAST_ROWS,
        "update_bytes": results.run.parameters * _FLOAT32,
    }


def _plots(
    reading: Reading, rounds: tuple[RoundRow, ...], style: dict[str, plots.Line]
) -> dict[str, Markup]:
    """Title of plot → its SVG: headline and loss by round."""
    name, label = reading.headline.name, reading.headline.label
    drawn = {
        label: plots.over_rounds(rounds, name, label, style),
        reading.loss.partition(" (")[0]: plots.over_rounds(rounds, "loss", reading.loss, style),
    }
    return {title: Markup(svg) for title, svg in drawn.items()}


def _curves(curves: Curves, style: dict[str, plots.Line], event: str | None) -> dict[str, Markup]:
    """Title of plot → its SVG, of the final model; none where the objective has no curves."""
    per_name = curves.hospitals | {ALL: curves.overall}
    if not any(one.calibration for one in per_name.values()):
        return {}
    of = "" if event is None else f" of {event}"
    drawn = {
        f"ROC{of}": plots.roc(per_name, style),
        f"Calibration{of}": plots.calibration(per_name, style),
    }
    if curves.overall.decision:
        drawn[f"Decision curve{of}, all rows"] = plots.decision(curves.overall.decision)
    return {title: Markup(svg) for title, svg in drawn.items()}


def _all_figures(results: Results) -> list[Figure]:
    every = [results.overall, *results.hospitals.values()]
    return [figure(one, m.name) for one in every for m in results.reading.measures]


def _tiles(results: Results) -> list[Tile]:
    """The headline figure over all test rows: federated, alone, pooled; and the worst hospital.

    The three stand on one basis, and so do the means of hospitals beneath them.
    """
    reading = results.reading
    head = reading.headline
    worst = results.worst_hospital[head.name]
    return [
        _tile("Federated", results.overall, results.hospitals, head),
        _baseline("Hospitals alone", results.baselines.alone, head),
        _baseline("Pooled", results.baselines.pooled, head),
        Tile(
            "Federated, worst hospital",
            number(worst.value if worst else None),
            f"{head.label} · {worst_in_words(results, head)}"
            if worst
            else "undefined at every hospital",
        ),
    ]


def _baseline(name: str, found: Alone | Pooled | None, head: Measure) -> Tile:
    if found is None:
        return Tile(f"{name}, all rows", MISSING, "not trained")
    return _tile(name, found.all, found.hospitals, head)


def _tile(name: str, overall: Metrics, hospitals: dict[str, Metrics], head: Measure) -> Tile:
    """A model over all test rows, with its interval, and the mean of hospitals beneath."""
    shown = figure(overall, head.name)
    mean = number(summary(hospitals, [head]).mean[head.name])
    interval = f" · 95 % {shown.span}" if shown.span else ""
    return Tile(
        f"{name}, all rows", shown.text, f"{head.label}{interval} · mean of hospitals {mean}"
    )


def _total(coverage: list[Coverage]) -> dict[str, Any]:
    """Rows over all hospitals: read, kept, set aside, and kept by class or what else is counted."""
    classes: dict[str, int] = {}
    for found in coverage:
        for name, rows in found.classes.items():
            classes[name] = classes.get(name, 0) + rows
    read, kept = sum(c.rows for c in coverage), sum(c.kept for c in coverage)
    return {"rows": read, "kept": kept, "set_aside": read - kept, "classes": classes}


def _same_hospitals(folder: Path, results: Results, curves: Curves) -> None:
    if missing := set(results.hospitals) - set(curves.hospitals):
        raise WardroundError(
            f"{folder / CURVES}: no curves of {', '.join(sorted(missing))}, whom "
            f"{RESULTS} names; run `wardround train` to write both anew"
        )
