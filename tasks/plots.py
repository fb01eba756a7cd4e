"""The report's plots as inline SVG whose colours are the page's, so that it can be dark or light.

The same points give the same bytes: no date, no random id. No name stands in a plot; the page
has one legend for all of them.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from federated.curves import Curve
from federated.decisions import Benefit
from federated.results import ALL, RoundRow

HUES = 6
_DASHES = ("", "6 3")
LEAST_ROWS = 5  # in a hospital's calibration bin that is drawn: fewer say nothing
_SIZE = (4.4, 3.1)  # inches: 9 points stay legible on 320 pixels
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "wardround",
    "font.size": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "lines.solid_capstyle": "round",
}
# matplotlib wants colours, the page's are variables: each stands under a colour of its own
_INK, _LINE, _MUTED = "#0a0b01", "#0a0b02", "#0a0b03"
_HUES = tuple(f"#0a0c0{i}" for i in range(HUES))
_VARIABLES = {_INK: "--ink", _LINE: "--line", _MUTED: "--muted"} | {
    hue: f"--hue-{i}" for i, hue in enumerate(_HUES)
}


@dataclass(frozen=True)
class Line:
    """How one hospital, or all together, is drawn in every plot."""

    label: str
    color: str
    dash: str
    width: float

    @property
    def css(self) -> str:
        """The colour as the page knows it."""
        return f"var({_VARIABLES[self.color]})"


def lines(hospitals: Sequence[str]) -> dict[str, Line]:
    """A line a hospital: 6 hues, then the same dashed; more than 12 hospitals share one grey."""
    found = {}
    for i, name in enumerate(hospitals):
        if len(hospitals) > HUES * len(_DASHES):
            found[name] = Line("each hospital", _MUTED, "", 0.7)
        else:
            found[name] = Line(name, _HUES[i % HUES], _DASHES[i // HUES], 1.3)
    return found | {ALL: Line("all hospitals", _INK, "", 2.4)}


def settings(names: Sequence[str]) -> dict[str, Line]:
    """A line a setting: 6 hues, then the same in other dashes; those beyond 24 share one grey."""
    dashes = ("", "6 3", "2 2", "8 3 2 3")
    found = {}
    for i, name in enumerate(names):
        if i < HUES * len(dashes):
            found[name] = Line(name, _HUES[i % HUES], dashes[i // HUES], 1.6)
        else:
            found[name] = Line("other settings", _MUTED, "", 0.7)
    return found


def bands(
    curves: Mapping[str, Sequence[tuple[int, float, float, float]]],
    label: str,
    style: Mapping[str, Line],
) -> str:
    """Name → (round, mean, low, high): a line with its band; NaN where there is none."""

    def draw(axes: Axes) -> None:
        for name, points in curves.items():
            line = style[name]
            _plot(axes, [(r, mean) for r, mean, _, _ in points], line)
            rounds, low, high = ([float(p[i]) for p in points] for i in (0, 2, 3))
            axes.fill_between(rounds, low, high, color=line.color, alpha=0.15, lw=0)
        _within_lines(axes, curves)
        axes.set(xlabel="Round", ylabel=label)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))

    return _svg(draw, f"{label} by round, per setting")


def over_rounds(
    rows: Sequence[RoundRow], metric: str, label: str, style: Mapping[str, Line]
) -> str:
    """A metric of the federated model by round; gaps where it is undefined."""

    def draw(axes: Axes) -> None:
        for name, line in style.items():
            found = [(r.round, r[metric]) for r in rows if r.hospital == name]
            points = [(x, math.nan if y is None else y) for x, y in sorted(found)]
            _plot(axes, points, line, marker="o" if len(points) <= 12 else None)
        axes.set(xlabel="Round", ylabel=label)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))

    return _svg(draw, f"{label} by round, per hospital")


def roc(curves: Mapping[str, Curve], style: Mapping[str, Line]) -> str:
    """ROC curves; those that are undefined are left out."""

    def draw(axes: Axes) -> None:
        _diagonal(axes)
        for name, line in style.items():
            _plot(axes, curves[name].roc, line)
        axes.set(xlabel="False positive rate", ylabel="True positive rate")

    return _svg(draw, "ROC curves, per hospital")


def calibration(curves: Mapping[str, Curve], style: Mapping[str, Line]) -> str:
    """Observed share against predicted probability, fifths of the rows; on the diagonal a model is
    calibrated. All rows together have their 95 % intervals."""

    def draw(axes: Axes) -> None:
        _diagonal(axes)
        for name, line in style.items():
            least = 1 if name == ALL else LEAST_ROWS
            groups = [p for p in curves[name].calibration if p.rows >= least]
            _plot(axes, [(p.confidence, p.observed) for p in groups], line, marker="o")
            if name == ALL:
                at = [p.confidence for p in groups]
                axes.vlines(
                    at,
                    [p.interval.low for p in groups],
                    [p.interval.high for p in groups],
                    color=line.color,
                    linewidth=1,
                )
        axes.set(xlabel="Predicted probability", ylabel="Observed share")

    return _svg(draw, "Calibration curves, per hospital")


def decision(benefits: Sequence[Benefit]) -> str:
    """Net benefit of treating by the model, of treating everyone (dashed) and nobody (dotted)."""

    def draw(axes: Axes) -> None:
        model = [(b.threshold, b.model) for b in benefits]
        everyone = [(b.threshold, b.all) for b in benefits]
        _plot(axes, model, Line("", _INK, "", 2.0))
        _plot(axes, everyone, Line("", _MUTED, "6 3", 1.3))
        axes.axhline(0, color=_MUTED, linewidth=1, linestyle=(0, (2, 3)))
        highest = max(value for _, value in (*model, *everyone))
        axes.set_ylim(-0.25 * highest, 1.08 * highest or 1.0)  # below, everyone falls without end
        axes.set(xlabel="Threshold probability", ylabel="Net benefit per row")

    return _svg(draw, "Decision curve")


def _plot(
    axes: Axes, points: Sequence[tuple[float, float]], line: Line, marker: str | None = None
) -> None:
    if not points:
        return
    dashes = tuple(float(d) / line.width for d in line.dash.split())
    axes.plot(
        *zip(*points, strict=True),
        color=line.color,
        linewidth=line.width,
        linestyle=(0, dashes) if dashes else "-",
        marker=marker,
        markersize=1.5 + line.width,
    )


def _within_lines(
    axes: Axes, curves: Mapping[str, Sequence[tuple[int, float, float, float]]]
) -> None:
    """Scale by the lines: the band of two seeds can be as wide as the sky."""
    values = [mean for points in curves.values() for _, mean, _, _ in points]
    if values:
        room = 0.15 * (max(values) - min(values)) or 0.05
        axes.set_ylim(min(values) - room, max(values) + room)


def _diagonal(axes: Axes) -> None:
    axes.plot([0, 1], [0, 1], color=_MUTED, linewidth=0.8, linestyle=(0, (2, 3)))
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))


def _svg(draw: Callable[[Axes], None], title: str) -> str:
    """An <svg> element that fills its box, transparent, described by `title`."""
    with mpl.rc_context():
        mpl.rcdefaults()  # a user's own matplotlibrc must not change the bytes
        mpl.rcParams.update(_STYLE)
        figure = Figure(figsize=_SIZE, layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        draw(axes)
        axes.grid(color=_LINE, linewidth=0.6)
        axes.set_axisbelow(True)
        axes.tick_params(color=_LINE, labelcolor=_INK)
        axes.spines[:].set_color(_LINE)
        axes.xaxis.label.set_color(_INK)
        axes.yaxis.label.set_color(_INK)
        text = StringIO()
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
    return _inline(text.getvalue(), title)


def _inline(text: str, title: str) -> str:
    """A whole SVG file → an element for a page: no prolog, metadata, fixed size or clashing id."""
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r' xmlns(:\w+)?="[^"]*"', "", text)
    text = re.sub(r' id="[A-Za-z]+[.\w]*_\d+"', "", text)
    box = re.search(r'viewBox="[^"]*"', text)
    if box is None:
        raise ValueError("matplotlib wrote an SVG without a viewBox")
    head = f'<svg {box.group()} role="img" aria-label="{title}">'
    for color, variable in _VARIABLES.items():
        text = text.replace(color, f"var({variable})")
    return head + text[text.index(">") + 1 :]
