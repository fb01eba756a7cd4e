"""How the cost of a round grows with hospitals and with the model, through the command line.

    python -m benchmarks.scale [--hospitals 10,100,1000,10000] [--widths 10,1000,25000] [--rounds 6]

Hospitals: 60 training rows of 20 numbers each, at most 100 of them train in a round, logistic
regression. The line that it should be: seconds are those of the cohort, so flat from 100 on, and
memory grows by the data alone. Models: 10 hospitals, an MLP of one hidden layer, about 10 k, 1 M
and 25 M parameters. The line: seconds in proportion to parameters. Results: .bench/scale.json.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.bench import write
from benchmarks.cases import Case
from benchmarks.hospitals import project
from benchmarks.machine import machine
from benchmarks.measure import BENCH
from benchmarks.product import timed

OUT = BENCH / "scale.json"
FEATURES, COHORT = 20, 100
_FLOAT = 4
WIDE = 1000
"""Features where models grow: an MLP of one hidden layer then has width · 1,002 + 1 parameters."""


def main(arguments: Sequence[str]) -> None:
    """Measure, print, write."""
    given = _arguments(arguments)
    results = []
    for hospitals in _numbers(given.hospitals):
        results.append(_of_hospitals(hospitals, given.rounds, given.engine))
        write(given.out, {"machine": machine(), "results": results})
    for width in _numbers(given.widths):
        results.append(_of_width(width, given.rounds, given.engine))
        write(given.out, {"machine": machine(), "results": results})
    _show(results)
    Console().print(f"results: {given.out}")


def _of_hospitals(hospitals: int, rounds: int, engine: str | None) -> dict[str, Any]:
    cohort = min(hospitals, COHORT)
    case = Case(
        name=f"hospitals-{hospitals}",
        hospitals=hospitals,
        cohort=cohort,
        rows=60,
        batch=20,
        rounds=rounds,
        rate=0.05,
        features=FEATURES,
    )
    return _result(case, engine, [])


def _of_width(width: int, rounds: int, engine: str | None) -> dict[str, Any]:
    case = Case(
        name=f"width-{width}",
        hospitals=10,
        cohort=10,
        rows=60,
        batch=20,
        rounds=rounds,
        rate=0.01,
        features=WIDE,
    )
    model = ["model.name=mlp", f"model.hidden=[{width}]"]
    return _result(case, engine, model)


def _result(case: Case, engine: str | None, model: Sequence[str]) -> dict[str, Any]:
    """sent_bytes: updates of a round, as recorded. data_mb: the encoded training and test rows."""
    found = timed(case, engine, model)
    facts = json.loads((project(case) / "reports" / "metrics.json").read_text())["run"]
    rows = sum(own["train"] + own["test"] for own in facts["examples"].values())
    return asdict(found) | {
        "hospitals": case.hospitals,
        "cohort": case.cohort,
        "parameters": facts["parameters"],
        "sent_bytes": facts["sent"] // found.rounds,
        "data_mb": rows * (case.features or 0) * _FLOAT / 1e6,
    }


def _show(results: Sequence[dict[str, Any]]) -> None:
    table = Table(title="one round, through the command line", title_justify="left")
    for column in ("hospitals", "trained", "parameters", "s a round", "peak MB", "MB sent"):
        table.add_column(column, justify="right")
    for r in results:
        counts = [f"{r[name]:,}" for name in ("hospitals", "cohort", "parameters")]
        sent = f"{r['sent_bytes'] / 1e6:.2f}"
        table.add_row(*counts, f"{r['round_s']:.3f}", f"{r['peak_mb']:.0f}", sent)
    Console().print(table)


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",") if part]


def _arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hospitals", default="10,100,1000,10000", help="with commas")
    parser.add_argument("--widths", default="10,1000,25000", help="with commas")
    parser.add_argument("--engine", help="engine.name")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--out", type=Path, default=OUT)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
