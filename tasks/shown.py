"""A figure as a person reads it: three decimals, its interval, and what its bins may hide."""

from typing import NamedTuple

from federated.intervals import Interval
from federated.metrics import Metrics

MISSING = "—"


class Figure(NamedTuple):
    """A metric's value, its 95 % interval, and how far counting in bins may have moved it if that
    is worth saying; None where there is none."""

    value: float | None
    interval: Interval | None = None
    doubt: float | None = None

    @property
    def text(self) -> str:
        """Three decimals; behind ≈ where the bins leave it in doubt."""
        return number(self.value) if self.doubt is None else f"≈{number(self.value)}"

    @property
    def span(self) -> str:
        """`0.82–0.95`; empty without an interval."""
        return "" if self.interval is None else span(self.interval)


UNKNOWN = Figure(None)


def figure(found: Metrics | None, name: str) -> Figure:
    """The metric of that name."""
    if found is None:
        return UNKNOWN
    return Figure(found[name], found.interval(name), found.doubtful(name))


def number(value: float | None) -> str:
    """Three decimals, or a dash for what is undefined."""
    return MISSING if value is None else f"{value:.3f}"


def span(interval: Interval) -> str:
    """`0.82–0.95`, `−0.31 to 0.20`; without decimals from 100 on."""
    digits = 2 if max(map(abs, interval)) < 100 else 0
    low, high = (f"{limit:.{digits}f}".replace("-", "−") for limit in interval)
    return f"{low}–{high}" if interval.low >= 0 else f"{low} to {high}"


def doubts(figures: list[Figure]) -> str | None:
    """What ≈ means, with the largest doubt among these figures; None if there is none."""
    most = max((f.doubt for f in figures if f.doubt is not None), default=None)
    if most is None:
        return None
    return f"≈: counted in bins of scores, which may have moved it by up to {most:.3f}"
