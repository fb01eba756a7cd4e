"""A study's own figures beside those that others have published."""

from collections.abc import Mapping, Sequence
from math import hypot, sqrt
from statistics import fmean, stdev

from rich.console import Group

from federated.contrast import SeedResult, label
from federated.study import Figure
from tasks.fitted_table import Column, FittedTable
from tasks.shown import MISSING

Published = Mapping[str, Mapping[str, Figure]]
TITLES = ("Seeds", "Ours", "Published", "Difference", "In SE")


def published_table(results: Sequence[SeedResult], published: Published) -> Group:
    """Mean ± standard deviation over seeds, ours and theirs: a table a figure."""
    columns = dict.fromkeys(column for figures in published.values() for column in figures)
    return Group(*(_figure(results, published, column) for column in columns))


def beside(
    results: Sequence[SeedResult], published: Published, column: str
) -> list[tuple[str, ...]]:
    """Setting and cells of TITLES of everyone who has the figure."""
    rows: list[tuple[str, ...]] = []
    for setting, figures in published.items():
        if column not in figures:
            continue
        mean, deviation, seeds = figures[column]
        values = ({**one.final, **one.hospitals} for one in results if one.setting == setting)
        own = [found[column] for found in values if column in found]
        theirs = f"{mean:.4f} ± {deviation:.4f}"
        apart = differences(own, figures[column])
        rows.append((setting, f"{len(own)}, {seeds}", _spread(own), theirs, *apart))
    return rows


def differences(own: Sequence[float], published: Figure) -> tuple[str, str]:
    """Ours less theirs, and that in its standard errors √(s₁²/n₁ + s₂²/n₂) (Welch 1947)."""
    if not own:
        return MISSING, MISSING
    mean, deviation, seeds = published
    apart = fmean(own) - mean
    if len(own) < 2 or seeds < 2:
        return f"{apart:+.4f}", MISSING
    error = hypot(stdev(own) / sqrt(len(own)), deviation / sqrt(seeds))
    return f"{apart:+.4f}", f"{apart / error:+.1f}" if error else MISSING


def _figure(results: Sequence[SeedResult], published: Published, column: str) -> FittedTable:
    names, *cells = zip(*beside(results, published, column), strict=True)
    return FittedTable(
        f"{label(column)}, beside the published",
        "Mean ± standard deviation over seeds; SE: the difference's standard error.",
        Column("Setting", names),
        [Column(title, own) for title, own in zip(TITLES, cells, strict=True)],
    )


def _spread(values: Sequence[float]) -> str:
    """`0.6850 ± 0.0283`; without a deviation for one value."""
    if not values:
        return MISSING
    return f"{fmean(values):.4f}" + (f" ± {stdev(values):.4f}" if len(values) > 1 else "")
