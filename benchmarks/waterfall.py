"""Where a steady round of `wardround train` goes, in processor milliseconds: by process, and within
the training process by what it does, from py-spy's samples of running (not waiting) threads.

    python -m benchmarks.waterfall [--cases abcd] [--seconds 6]

The machine's cores times the wall of a round is what there is; what no row takes was idle, or taken
by what else runs. Results: a table, and .bench/waterfall.json.
"""

import argparse
import re
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.bench import write
from benchmarks.cases import CASES, Case, overrides
from benchmarks.machine import machine
from benchmarks.measure import BENCH, end_tree
from benchmarks.product import cleared, rounds
from tasks.job import cores

OUT = BENCH / "waterfall.json"
_ROUNDS = {"a": 120, "b": 40, "c": 40, "d": 400}
_HZ = 200
_WARM = 8
"""Rounds before the window."""
_PARTS = (
    ("MLflow's thread", r"tasks/outbox"),
    ("journal", r"tasks/journal"),
    ("evaluate", r"federated/evaluation|packed_counts"),
    ("train, here or by workers", r"tasks/engine|federated/shares"),
    ("aggregate, server step", r"federated/"),
    ("progress", r"tasks/progress"),
    ("Prefect's client", r"prefect/"),
)
"""The first that matches a sample's frames, from the innermost of each kind, names it."""


def main(arguments: Sequence[str]) -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", default="abcd", help="letters")
    parser.add_argument("--seconds", type=float, default=6.0, help="of the window")
    parser.add_argument("--out", type=Path, default=OUT)
    given = parser.parse_args(arguments)
    found = {}
    for name in given.cases:
        case = replace(CASES[name], rounds=_ROUNDS[name])
        found[name] = measured(case, given.seconds)
        _show(case, found[name])
        write(given.out, {"machine": machine(), "results": found})


def measured(case: Case, seconds: float) -> dict[str, float]:
    """Milliseconds a round: `wall`, and the processor's by part."""
    folder = cleared(case)
    command = [str(Path(sys.executable).with_name("wardround")), "train", "--no-report"]
    for setting in overrides(case):
        command += ["--set", setting]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
    try:
        while len(_rounds(folder)) < _WARM:
            if process.poll() is not None:
                raise RuntimeError(f"case {case.name} ended before it was warm")
            time.sleep(0.1)
        before, begun = _processors(process.pid), time.time()
        samples = _profile(process.pid, seconds)
        after, ended = _processors(process.pid), time.time()
        inside = [t for t in _rounds(folder) if begun <= t <= ended]
    finally:
        end_tree(process.pid)
    count = len(inside)
    spent = {k: 1e3 * (v - before.get(k, 0.0)) / count for k, v in after.items()}
    here = spent.pop("the training process")
    whole = sum(samples.values())
    parts = {part: here * n / whole for part, n in samples.most_common()}
    return {"wall": 1e3 * (ended - begun) / count} | spent | parts


def part_of(stack: str) -> str:
    """What a thread was doing, from its frames as py-spy writes them."""
    return next((name for name, pattern in _PARTS if re.search(pattern, stack)), "the rest")


def _profile(pid: int, seconds: float) -> Counter[str]:
    """Samples by part."""
    raw = BENCH / "waterfall.raw"
    tool = str(Path(sys.executable).with_name("py-spy"))
    options = ["-r", str(_HZ), "-d", str(int(seconds)), "-t", "-f", "raw", "-o", str(raw)]
    subprocess.run([tool, "record", *options, "-p", str(pid)], check=True, capture_output=True)
    found: Counter[str] = Counter()
    for line in raw.read_text().splitlines():
        stack, count = line.rsplit(" ", 1)
        found[part_of(stack)] += int(count)
    return found


def _processors(pid: int) -> Mapping[str, float]:
    """Seconds of processor that each kind of process has taken so far."""
    found: dict[str, float] = defaultdict(float)
    root = psutil.Process(pid)
    for process in [root, *root.children(recursive=True)]:
        times = process.cpu_times()
        kind = _kind(process, root)
        if kind is not None:
            found[kind] += times.user + times.system
    return found


def _kind(process: psutil.Process, root: psutil.Process) -> str | None:
    if process == root:
        return "the training process"
    line = " ".join(process.cmdline())
    return "worker processes" if "engine.worker" in line else "Prefect's server"


def _rounds(folder: Path) -> list[float]:
    return rounds(folder) if [*(folder / "mlruns" / "journals").glob("*/journal.db")] else []


def _show(case: Case, found: Mapping[str, float]) -> None:
    table = Table(title=f"{case.title}: a round of {found['wall']:.0f} ms", title_justify="left")
    for column in ("part", "processor ms", "% of the cores"):
        table.add_column(column, justify="left" if column == "part" else "right")
    for part, spent in sorted(found.items(), key=lambda one: -one[1]):
        if part != "wall":
            share = 100 * spent / found["wall"] / cores()
            table.add_row(part, f"{spent:.1f}", f"{share:.1f}")
    Console().print(table)


if __name__ == "__main__":
    main(sys.argv[1:])
