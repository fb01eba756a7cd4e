"""`engine.runner` on one machine: `wardround train` with two workers of each, in one go.

    python -m benchmarks.runners [CASE] [ROUNDS]

A table: a steady round against threads', and the whole run. Runners of extras that are not
installed are left out.
"""

import sys
from collections.abc import Sequence
from importlib.util import find_spec

from rich.console import Console
from rich.table import Table

from benchmarks.cases import CASES, Case, shortened
from benchmarks.measure import Result
from benchmarks.product import timed

_TWO = "engine.workers=2"
SUBJECTS = {
    "threads": ("sequential", [_TWO]),
    "threads, name: workers": ("workers", [_TWO]),
    "processes": (None, [_TWO, "engine.runner=processes"]),
    "dask": (None, [_TWO, "engine.runner=dask"]),
    "ray": (None, [_TWO, "engine.runner=ray"]),
}


def main(arguments: Sequence[str]) -> None:
    """Measure and print the table."""
    name, rounds = [*arguments, *("b", "6")[len(arguments) :]]
    case = shortened(CASES[name], int(rounds))
    found = measured(case)
    first = found["threads"]
    table = Table(title=f"{case.title}, two workers", title_justify="left")
    for column in ("engine.runner", "s a round", "× threads", "s in all", "peak MB", "accuracy"):
        table.add_column(column, justify="left" if column == "engine.runner" else "right")
    for subject, one in found.items():
        ratio = f"{first.round_s / one.round_s:.2f}"
        figures = (f"{one.round_s:.3f}", ratio, f"{one.whole_s:.1f}", f"{one.peak_mb:.0f}")
        table.add_row(subject, *figures, f"{one.accuracy:.4f}")
    Console().print(table)


def measured(case: Case) -> dict[str, Result]:
    """Each runner's run. Raises SubjectError if one fails."""
    there = {name: of for name, of in SUBJECTS.items() if _installed(name)}
    return {name: timed(case, engine, extra) for name, (engine, extra) in there.items()}


def _installed(name: str) -> bool:
    return name not in ("dask", "ray") or find_spec(f"prefect_{name}") is not None


if __name__ == "__main__":
    main(sys.argv[1:])
