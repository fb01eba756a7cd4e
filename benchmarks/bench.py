"""The plain loop, the engine alone and `wardround train`, in turn, and how much faster they are.

    python -m benchmarks.bench [--cases abcd] [--engines auto,workers] [--repeats 5] [--rounds N]

Every repeat runs all subjects of a case, in the opposite order of the one before, each as a process
of its own. A ratio is taken within a repeat, so that what else the machine does falls on both.
Results: a table, and .bench/bench.json.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.cases import CASES, Case, shortened
from benchmarks.engine import alone
from benchmarks.hospitals import told
from benchmarks.machine import machine
from benchmarks.measure import BENCH, ROOT, Result, answered, run
from benchmarks.plain import TASK
from benchmarks.product import timed

PLAIN = "plain loop"
OUT = BENCH / "bench.json"
Subject = Callable[[], Result]


def main(arguments: Sequence[str]) -> None:
    """Measure, print, write."""
    given = _arguments(arguments)
    results: list[dict[str, object]] = []
    for name in given.cases:
        case = shortened(CASES[name], given.rounds)
        subjects = subjects_of(case, given.engines.split(",") if given.engines else [None])
        repeats = measured(subjects, given.repeats)
        _show(case, repeats)
        results += [asdict(r) | {"repeat": i} for i, own in enumerate(repeats) for r in own]
        write(given.out, {"machine": machine(), "results": results})
    Console().print(f"results: {given.out}")


def subjects_of(case: Case, engines: Sequence[str | None]) -> list[Subject]:
    """The plain loop, and each engine, alone and in the product."""

    def plain() -> Result:
        command = [sys.executable, "-m", "benchmarks.raw_loop"]
        return answered(PLAIN, case.name, run(command, ROOT, {TASK: told(case)}))

    def product(engine: str | None) -> Subject:
        return lambda: timed(case, engine)

    def engine_alone(engine: str | None) -> Subject:
        return lambda: alone(case, engine)

    both = ((engine_alone(engine), product(engine)) for engine in engines)
    return [plain, *(subject for pair in both for subject in pair)]


def measured(subjects: Sequence[Subject], repeats: int) -> list[list[Result]]:
    """Results by repeat, each in the order of `subjects`; they run to and fro."""
    found = []
    for repeat in range(repeats):
        order = subjects if repeat % 2 == 0 else subjects[::-1]
        own = [subject() for subject in order]
        found.append(own if repeat % 2 == 0 else own[::-1])
    return found


def spread(values: Sequence[float], digits: int) -> str:
    """Median, and the least and largest in brackets."""
    low, middle, high = (f(values) for f in (min, statistics.median, max))
    return f"{middle:.{digits}f} ({low:.{digits}f} … {high:.{digits}f})"


def write(path: Path, values: object) -> None:
    """JSON, beside and renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(values, indent=1))
    partial.replace(path)


def _arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", default="abcd", help="letters")
    parser.add_argument("--engines", default="", help="names of engine.name, with commas")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--rounds", type=int, help="fewer, for a trial")
    parser.add_argument("--out", type=Path, default=OUT)
    return parser.parse_args(arguments)


def _show(case: Case, repeats: Sequence[Sequence[Result]]) -> None:
    table = Table(title=f"{case.title}, {case.rounds} rounds", title_justify="left")
    for column in ("subject", "s a round", "× as fast", "s in all", "peak MB", "accuracy"):
        table.add_column(column, justify="left" if column == "subject" else "right")
    for own in zip(*repeats, strict=True):
        ratios = [first[0].round_s / r.round_s for first, r in zip(repeats, own, strict=True)]
        table.add_row(
            own[0].subject,
            spread([r.round_s for r in own], 4),
            spread(ratios, 2),
            spread([r.whole_s for r in own], 1),
            f"{statistics.median(r.peak_mb for r in own):.0f}",
            f"{statistics.median(r.accuracy for r in own):.3f}",
        )
    Console().print(table)


if __name__ == "__main__":
    main(sys.argv[1:])
