"""compare.html: a comparison as one page that needs nothing beside it."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from federated.contrast import (
    MEAN,
    WORST,
    Contrast,
    Difference,
    better,
    higher_is_better,
    label,
    metrics_of,
    sentence,
)
from tasks import contrast_table, plots
from tasks.files import write_atomic
from tasks.page import environment
from tasks.shown import MISSING

PAGE = "compare.html"
_WIDTH = 200  # of a difference's drawing, in its own units


@dataclass(frozen=True)
class Bar:
    """Where a difference and its interval lie in a drawing of width 200 whose middle is zero."""

    at: float
    low: float
    high: float


def write_page(path: Path, found: Contrast, title: str, subtitle: str) -> Path:
    """Write the page. Names are escaped; only the plots, which hold none, go in as they are."""
    write_atomic(path, html(found, title, subtitle).encode())
    return path


def html(found: Contrast, title: str, subtitle: str) -> str:
    """The page as text."""
    page = environment()
    page.filters["label"] = label
    page.filters["plus_minus"] = contrast_table.plus_minus
    page.filters["p"] = lambda p: contrast_table.p_text(p).removeprefix("p ").removeprefix("= ")
    page.filters["signed"] = lambda v: f"{v:+.4f}".replace("-", "−")
    return page.get_template(PAGE).render(title=title, subtitle=subtitle, **_context(found))


def _context(found: Contrast) -> dict[str, Any]:
    style = plots.settings(found.settings)
    every = [*dict.fromkeys(c for own in found.means.values() for c in own if not _is_cost(c))]
    return {
        "found": found,
        "missing": MISSING,
        "columns": contrast_table.with_worst(found.columns),
        "every": [[c for c in every if _group(c) == group] for group in ("", MEAN, WORST)],
        "costs": contrast_table.shown_costs(found),
        "cost_title": contrast_table.cost_title,
        "cost_text": contrast_table.cost_text,
        "higher": higher_is_better,
        "sentence": sentence,
        "better": better,
        "bars": _bars(found),
        "legend": list({line.label: line for line in style.values()}.values()),
        "plots": {m: Markup(_plot(found, m, style)) for m in metrics_of(found.columns)},
        "ranked": any(d.found.wilcoxon is not None for d in found.differences),
        "sure": [d for d in found.differences if d.verdict in ("higher", "lower")],
    }


def _plot(found: Contrast, metric: str, style: dict[str, plots.Line]) -> str:
    curves = {
        name: [(r, i.mean, _or_nan(i.low), _or_nan(i.high)) for r, i in points]
        for name, points in found.curves[metric].items()
    }
    return plots.bands(curves, label(metric), style)


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value


def _bars(found: Contrast) -> dict[Difference, Bar]:
    """Each difference's place; differences of one column share a scale."""
    bars = {}
    for column in found.columns:
        own = [d for d in found.differences if d.column == column and d.found.difference]
        ends = {d: _ends(d) for d in own}
        reach = max((abs(v) for three in ends.values() for v in three), default=0.0) or 1.0
        for one, three in ends.items():
            bars[one] = Bar(*(_WIDTH / 2 * (1 + 0.96 * v / reach) for v in three))
    return bars


def _ends(one: Difference) -> tuple[float, float, float]:
    """(difference, low, high); of one seed the point alone."""
    if one.found.difference is None:
        raise ValueError(f"{one.setting} has no common seed with the reference")
    mean, low, high = one.found.difference.mean, one.found.difference.low, one.found.difference.high
    return mean, mean if low is None else low, mean if high is None else high


def _is_cost(column: str) -> bool:
    return column in ("rounds_to_target", "bytes_sent", "seconds")


def _group(column: str) -> str:
    return next((g for g in (MEAN, WORST) if column.startswith(g)), "")
