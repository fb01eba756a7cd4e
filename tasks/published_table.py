"""A study's own figures beside those that others have published."""

from collections.abc import Mapping, Sequence
from statistics import fmean, stdev

from rich.console import Group

from federated.contrast import SeedResult, label
from tasks.comparison import MISSING
from tasks.fitted_table import Column, FittedTable

Published = Mapping[str, Mapping[str, tuple[float, float]]]


def published_table(results: Sequence[SeedResult], published: Published) -> Group:
    """Mean ± standard deviation over seeds, ours and theirs: a table a figure."""
    columns = dict.fromkeys(column for figures in published.values() for column in figures)
    return Group(*(_figure(results, published, column) for column in columns))


def beside(
    results: Sequence[SeedResult], published: Published, column: str
) -> list[tuple[str, str, str, str, str]]:
    """Setting, seeds, ours, published and difference of everyone who has the figure."""
    rows = []
    for setting, figures in published.items():
        if column not in figures:
            continue
        mean, deviation = figures[column]
        own = [r.final[column] for r in results if r.setting == setting and column in r.final]
        difference = f"{fmean(own) - mean:+.4f}" if own else MISSING
        theirs = f"{mean:.4f} ± {deviation:.4f}"
        rows.append((setting, str(len(own)), _spread(own), theirs, difference))
    return rows


def _figure(results: Sequence[SeedResult], published: Published, column: str) -> FittedTable:
    names, *cells = zip(*beside(results, published, column), strict=True)
    titles = ("Seeds", "Ours", "Published", "Difference")
    return FittedTable(
        f"{label(column)}, beside the published",
        "Mean ± standard deviation over seeds.",
        Column("Setting", names),
        [Column(title, own) for title, own in zip(titles, cells, strict=True)],
    )


def _spread(values: Sequence[float]) -> str:
    """`0.6850 ± 0.0283`; without a deviation for one value."""
    if not values:
        return MISSING
    return f"{fmean(values):.4f}" + (f" ± {stdev(values):.4f}" if len(values) > 1 else "")
