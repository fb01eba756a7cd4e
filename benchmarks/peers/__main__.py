"""Other frameworks on the same cases, data and initial weights, beside plain loop and Wardround.

    python -m benchmarks.peers [--peers flower,pfl2] [--cases abcd] [--engine auto] [--repeats 3]
        [--rounds N]

All subjects of a case run in turn. A peer that cannot be installed, fails or takes over the limit
stands in the results with its error. Accuracies that lie further apart than the case's tolerance
are an error at the end. Results: a table, and .bench/peers.json.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.bench import subjects_of, write
from benchmarks.cases import CASES, Case, shortened
from benchmarks.hospitals import told
from benchmarks.machine import machine
from benchmarks.measure import BENCH, ROOT, Result, SubjectError, answered, run
from benchmarks.peers.environments import PEERS, InstallError, Peer, python
from benchmarks.plain import TASK

OUT = BENCH / "peers.json"


def main(arguments: Sequence[str]) -> int:
    """Measure, print, write; 1 if accuracies are apart."""
    given = _arguments(arguments)
    results: list[dict[str, Any]] = []
    apart = False
    for name in given.cases:
        case = shortened(CASES[name], given.rounds)
        found: list[Result] = []
        for repeat in range(given.repeats):
            for own in _repeat(case, given):
                results.append(own | {"repeat": repeat})
                found += [own["result"]] if "result" in own else []
        _show(case, found)
        apart |= _apart(case, found)
        done = [_plain(one) for one in results]
        write(given.out, {"machine": machine(), "results": done})
    Console().print(f"results: {given.out}")
    return int(apart)


def one(peer: Peer, case: Case, limit: float) -> Result:
    """A peer on a case. Raises InstallError or SubjectError."""
    program = python(peer)
    if peer.module is None or case.name not in peer.cases:
        raise SubjectError(f"no adapter of {peer.title} for case {case.name}")
    command = [str(program), *peer.launcher, "-m", f"benchmarks.peers.{peer.module}"]
    return answered(peer.title, case.name, run(command, ROOT, {TASK: told(case)}, limit))


def _repeat(case: Case, given: argparse.Namespace) -> list[dict[str, Any]]:
    """Every subject once: its result, or its error."""
    plain, engine, product = subjects_of(case, [given.engine])
    subjects = {"plain loop": plain, "engine alone": engine, "wardround": product}
    subjects |= {name: _subject(PEERS[name], case, given.limit) for name in given.peers.split(",")}
    found = []
    for name, subject in subjects.items():
        try:
            found.append({"case": case.name, "subject": name, "result": subject()})
        except (InstallError, SubjectError) as fault:
            Console().print(f"{case.name}, {name}: {str(fault).splitlines()[-1]}", style="red")
            found.append({"case": case.name, "subject": name, "error": str(fault)})
    return found


def _subject(peer: Peer, case: Case, limit: float) -> Any:
    return lambda: one(peer, case, limit)


def _apart(case: Case, found: Sequence[Result]) -> bool:
    """Do final accuracies differ by more than the case's tolerance?"""
    accuracies = {r.subject: r.accuracy for r in found}
    apart = max(accuracies.values()) - min(accuracies.values()) > case.tolerance
    if apart:
        Console().print(f"{case.name}: accuracies are apart: {accuracies}", style="red")
    return apart


def _plain(own: dict[str, Any]) -> dict[str, Any]:
    if "result" not in own:
        return own
    return asdict(own["result"]) | {"repeat": own["repeat"]}


def _show(case: Case, found: Sequence[Result]) -> None:
    table = Table(title=f"{case.title}, {case.rounds} rounds", title_justify="left")
    for column in ("subject", "s a round", "s in all", "peak MB", "accuracy"):
        table.add_column(column, justify="left" if column == "subject" else "right")
    for r in sorted(found, key=lambda r: r.round_s):
        memory, accuracy = f"{r.peak_mb:.0f}", f"{r.accuracy:.3f}"
        table.add_row(r.subject, f"{r.round_s:.4f}", f"{r.whole_s:.1f}", memory, accuracy)
    Console().print(table)


def _arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", default=",".join(PEERS), help="names, with commas")
    parser.add_argument("--cases", default="abcd", help="letters")
    parser.add_argument("--engine", help="engine.name of Wardround")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--rounds", type=int, help="fewer, for a trial")
    parser.add_argument("--limit", type=float, default=1800.0, help="seconds a run may take")
    parser.add_argument("--out", type=Path, default=OUT)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
