"""report.html: the results in `reports/` as one page that needs nothing beside it.

Rendering only: every figure is read from metrics.json, evaluation.json and rounds.csv, and the
same files give the same bytes.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from federated.errors import WardroundError
from federated.metrics import Reading, summary
from federated.results import ALL, Curves, Results, RoundRow
from federated.schema import Coverage
from tasks import plots
from tasks.comparison import MISSING, best, comparison, number, robustness_cost, table
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
        "missing": MISSING,
        "legend": list({line.label: line for line in style.values()}.values()),
        "plots": _plots(results.reading, rounds, style),
        "curves": _curves(curves, style),
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


def _curves(curves: Curves, style: dict[str, plots.Line]) -> dict[str, Markup]:
    """Title of plot → its SVG, of the final model; none where the objective has no curves."""
    per_name = curves.hospitals | {ALL: curves.overall}
    if not any(one.calibration for one in per_name.values()):
        return {}
    drawn = {"ROC": plots.roc(per_name, style), "Calibration": plots.calibration(per_name, style)}
    return {title: Markup(svg) for title, svg in drawn.items()}


def _tiles(results: Results) -> list[Tile]:
    """The headline figure: federated, hospitals alone, pooled, worst hospital."""
    reading = results.reading
    head, second = reading.headline, reading.second
    alone, pooled = results.baselines.alone, results.baselines.pooled
    worst = results.worst_hospital[head.name]
    mean = summary(results.hospitals, reading.measures).mean

    def beside(value: float | None) -> str:
        return f"{head.label} · {second.in_a_sentence} {number(value)}"

    return [
        Tile(
            "Federated, all hospitals",
            number(results.overall[head.name]),
            f"{head.label} · mean of hospitals {number(mean[head.name])}",
        ),
        Tile(
            "Hospitals alone, mean",
            number(alone.mean[head.name] if alone else None),
            beside(alone.mean[second.name]) if alone else "not trained",
        ),
        Tile(
            "Pooled, all hospitals",
            number(pooled.all[head.name] if pooled else None),
            beside(pooled.all[second.name]) if pooled else "not trained",
        ),
        Tile(
            "Federated, worst hospital",
            number(worst.value if worst else None),
            f"{head.label} · {worst.hospital}" if worst else "undefined at every hospital",
        ),
    ]


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
