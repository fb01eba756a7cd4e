"""report.html: the results in `reports/` as one page that needs nothing beside it.

Rendering only: every figure is read from metrics.json, evaluation.json and rounds.csv, and the
same files give the same bytes.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from federated.errors import WardroundError
from federated.metrics import METRICS, Metrics, summary
from federated.results import ALL, Curves, Results, RoundRow
from federated.schema import Coverage
from tasks import plots
from tasks.comparison import MISSING, best, comparison, number, table
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

_COMPARED = tuple(m for m in METRICS if m.name in ("auroc", "accuracy", "balanced_accuracy"))
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
        "total": _total([*curves.coverage.values()]),
        "tiles": _tiles(results),
        "rows": comparison(results),
        "compared": _COMPARED,
        "measures": METRICS,
        "best": best,
        "missing": MISSING,
        "legend": list({line.label: line for line in style.values()}.values()),
        "plots": _plots(curves, rounds, style),
        "least_rows": plots.LEAST_ROWS,
        "update_bytes": results.run.parameters * _FLOAT32,
    }


def _plots(
    curves: Curves, rounds: tuple[RoundRow, ...], style: dict[str, plots.Line]
) -> dict[str, Markup]:
    """Name of plot → its SVG."""
    per_name = curves.hospitals | {ALL: curves.overall}
    drawn = {
        "auroc": plots.over_rounds(rounds, "auroc", "AUROC", style),
        "loss": plots.over_rounds(rounds, "loss", "Loss (nats per row)", style),
        "roc": plots.roc(per_name, style),
        "calibration": plots.calibration(per_name, style),
    }
    return {name: Markup(svg) for name, svg in drawn.items()}


def _tiles(results: Results) -> list[Tile]:
    """AUROC: federated, hospitals alone, pooled, worst hospital."""
    alone, pooled = results.baselines.alone, results.baselines.pooled
    worst = results.worst_hospital["auroc"]
    mean = summary(results.hospitals).mean
    return [
        Tile(
            "Federated, all hospitals",
            number(results.overall.auroc),
            f"AUROC · mean of hospitals {number(mean['auroc'])}",
        ),
        Tile(
            "Hospitals alone, mean",
            number(alone.mean["auroc"] if alone else None),
            f"AUROC · accuracy {number(alone.mean['accuracy'])}" if alone else "not trained",
        ),
        Tile(
            "Pooled, all hospitals",
            number(pooled.all.auroc if pooled else None),
            _note(pooled.all) if pooled else "not trained",
        ),
        Tile(
            "Federated, worst hospital",
            number(worst.value if worst else None),
            f"AUROC · {worst.hospital}" if worst else "undefined at every hospital",
        ),
    ]


def _note(found: Metrics) -> str:
    return f"AUROC · accuracy {number(found.accuracy)}"


def _total(coverage: list[Coverage]) -> dict[str, Any]:
    """Rows over all hospitals: read, kept, set aside, and kept by class."""
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
