"""A comparison for the terminal: means with intervals, and every difference in words."""

from collections.abc import Sequence
from textwrap import wrap

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from federated.contrast import WORST, Contrast, better, label, metrics_of, sentence
from federated.significance import Interval
from tasks.fitted_table import Column, FittedTable
from tasks.shown import MISSING

_COSTS = {
    "rounds_to_target": "Rounds to\ntarget",
    "bytes_sent": "kB sent",
    "seconds": "Seconds",
}
_WIDTH = len("0.879 ± 0.012")
_STYLES = {True: "green", False: "red", None: ""}


def contrast_table(found: Contrast, title: str) -> RenderableType:
    """Two parts: a line a setting, and a line a difference."""
    return Group(_means(found, title), *_words(found))


def shown_costs(found: Contrast) -> list[str]:
    """The costs that some setting has."""
    return [c for c in _COSTS if any(c in own for own in found.means.values())]


def cost_title(cost: str) -> str:
    """A cost's name on a page."""
    return _COSTS[cost].replace("\n", " ")


def cost_text(cost: str, value: Interval | None, seeds: int) -> str:
    """A mean cost in its own unit; of a target that not every seed reached, by how many."""
    if value is None:
        return MISSING
    text = f"{value.mean / 1e3:,.1f}" if cost == "bytes_sent" else f"{value.mean:.1f}"
    return text if value.n == seeds else f"{text} ({value.n}/{seeds})"


def plus_minus(value: Interval | None) -> str:
    """`0.879 ± 0.012`, or the value alone where one seed has it."""
    if value is None:
        return MISSING
    return f"{value.mean:.3f}" + ("" if value.half is None else f" ± {value.half:.3f}")


def with_worst(columns: Sequence[str]) -> list[str]:
    """The columns, and where none tells of the worst hospital, its first metric behind them."""
    if any(column.startswith(WORST) for column in columns):
        return [*columns]
    return [*columns, WORST + metrics_of(columns)[0]]


def _means(found: Contrast, title: str) -> FittedTable:
    columns, costs = with_worst(found.columns), shown_costs(found)
    seeds = {name: len(found.seeds[name]) for name in found.settings}
    figures = [Column("Seeds", [str(n) for n in seeds.values()])]
    for column in columns:
        cells = [plus_minus(found.means[n].get(column)).replace(" ", "") for n in seeds]
        figures.append(Column("\n".join(wrap(label(column), _WIDTH)), cells))
    for cost in costs:
        cells = [cost_text(cost, found.means[name].get(cost), n) for name, n in seeds.items()]
        figures.append(Column(_COSTS[cost], cells))
    caption = "Mean over seeds ± half of its 95 % confidence interval (Student's t)."
    names = Column("Setting", found.settings)
    return FittedTable(title, caption, names, figures, frozenset({found.reference}))


def _words(found: Contrast) -> list[RenderableType]:
    if not found.differences:
        return []
    head = f"Against {found.reference}, seed by seed"
    note = f"; p corrected for {found.tests} comparisons (Holm)" if found.tests > 1 else ""
    drawn = Table.grid(padding=(0, 2))
    drawn.add_column(overflow="fold")
    drawn.add_column(no_wrap=True)
    for one in found.differences:
        words = Text(sentence(one, found.reference), style=_STYLES[better(one)])
        drawn.add_row(words, "" if one.adjusted is None else p_text(one.adjusted))
    return [Text(head + note, style="italic"), Padding(drawn, (0, 0, 0, 2), expand=False)]


def p_text(value: float) -> str:
    """`p = 0.031`, `p < 0.001`."""
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"
