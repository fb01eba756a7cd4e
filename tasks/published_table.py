"""A study's own figures beside those that others have published."""

from collections.abc import Mapping, Sequence
from statistics import fmean, stdev

from rich import box
from rich.table import Table

from federated.contrast import SeedResult, label
from tasks.comparison import MISSING

Published = Mapping[str, Mapping[str, tuple[float, float]]]


def published_table(results: Sequence[SeedResult], published: Published) -> Table:
    """Mean ± standard deviation over seeds, ours and theirs, for every published figure."""
    drawn = Table(
        title="Beside the published figures",
        caption="Mean ± standard deviation over seeds.",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    for name in ("Setting", "Figure", "Seeds", "Ours", "Published", "Difference"):
        drawn.add_column(name, justify="left" if name in ("Setting", "Figure") else "right")
    for setting, figures in published.items():
        for column, (mean, deviation) in figures.items():
            own = [r.final[column] for r in results if r.setting == setting and column in r.final]
            theirs = f"{mean:.4f} ± {deviation:.4f}"
            difference = f"{fmean(own) - mean:+.4f}" if own else MISSING
            row = (setting, label(column), str(len(own)), _spread(own), theirs, difference)
            drawn.add_row(*row)
    return drawn


def _spread(values: Sequence[float]) -> str:
    """`0.6850 ± 0.0283`; without a deviation for one value."""
    if not values:
        return MISSING
    return f"{fmean(values):.4f}" + (f" ± {stdev(values):.4f}" if len(values) > 1 else "")
