"""Markdown tables and plots of the benchmarks' JSON files, for docs/performance.md.

    python -m benchmarks.figures [--images docs/images]

Prints the tables of whichever of .bench/bench.json, peers.json and scale.json are there, and writes
benchmark-peers.svg and benchmark-scale.svg beside the other images.
"""

import argparse
import json
import statistics
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.bench import OUT as BENCH_FILE
from benchmarks.bench import PLAIN, spread
from benchmarks.cases import CASES
from benchmarks.peers.__main__ import OUT as PEERS_FILE
from benchmarks.scale import OUT as SCALE_FILE

Row = dict[str, Any]
mpl.rcParams["svg.hashsalt"] = "wardround"
_NO_DATE = {"Date": None}
_OURS, _THEIRS = "#4c78a8", "#9a9a9a"
_CUT = 4


def main(arguments: Sequence[str]) -> None:
    """Print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path, default=Path("docs/images"))
    images = parser.parse_args(arguments).images
    images.mkdir(parents=True, exist_ok=True)
    for path, table in ((BENCH_FILE, cases_table), (PEERS_FILE, cases_table)):
        if path.is_file():
            found = json.loads(path.read_text())
            print(described(found["machine"]), table(found["results"]), sep="\n\n", end="\n\n")
    if PEERS_FILE.is_file():
        peers_plot(json.loads(PEERS_FILE.read_text())["results"], images / "benchmark-peers.svg")
    if SCALE_FILE.is_file():
        found = json.loads(SCALE_FILE.read_text())
        print(described(found["machine"]), scale_table(found["results"]), sep="\n\n")
        scale_plot(found["results"], images / "benchmark-scale.svg")


def described(machine: Row) -> str:
    """The machine, in a sentence."""
    return (
        f"{machine['date']}, {machine['processor']}, {machine['cores']} cores, "
        f"{machine['memory_gb']} GB, Python {machine['python']}; load when it ended: "
        f"{machine['load']}."
    )


def cases_table(results: Sequence[Row]) -> str:
    """A row a case and subject; a ratio is of rounds within the same repeat."""
    lines = [
        "| case | subject | s a round | × as fast as the plain loop | whole run, s | peak MB "
        "| accuracy | versions |",
        "|---|---|--:|--:|--:|--:|--:|---|",
    ]
    for (case, subject), own in grouped(results).items():
        known = [r for r in own if "error" not in r]
        if not known:
            reason = own[0]["error"].strip().splitlines()[-1]
            lines.append(f"| {case} | {subject} | – | – | – | – | – | {reason} |")
            continue
        ratios = [s for r in known if (s := _ratio(r, results)) is not None]
        versions = ", ".join(f"{name} {v}" for name, v in known[0]["versions"].items())
        lines.append(
            f"| {case} | {subject} | {spread([r['round_s'] for r in known], 4)} "
            f"| {spread(ratios, 2) if ratios else '–'} "
            f"| {spread([r['whole_s'] for r in known], 1)} "
            f"| {statistics.median(r['peak_mb'] for r in known):.0f} "
            f"| {statistics.median(r['accuracy'] for r in known):.3f} | {versions} |"
        )
    return "\n".join(lines)


def grouped(results: Sequence[Row]) -> dict[tuple[str, str], list[Row]]:
    """(case, subject) → its repeats, in the order of the file."""
    found: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in results:
        found[row["case"], row["subject"]].append(row)
    return found


def _ratio(row: Row, results: Sequence[Row]) -> float | None:
    for other in results:
        same = (other["case"], other["repeat"]) == (row["case"], row["repeat"])
        if same and other["subject"] == PLAIN and "error" not in other:
            return float(other["round_s"] / row["round_s"])
    return None


def scale_table(results: Sequence[Row]) -> str:
    """A row a size."""
    lines = [
        "| hospitals | trained a round | parameters | s a round | peak MB | of it data, MB "
        "| MB sent a round |",
        "|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for r in results:
        lines.append(
            f"| {r['hospitals']:,} | {r['cohort']:,} | {r['parameters']:,} | {r['round_s']:.3f} "
            f"| {r['peak_mb']:.0f} | {r['data_mb']:.1f} | {r['sent_bytes'] / 1e6:.2f} |"
        )
    return "\n".join(lines)


def peers_plot(results: Sequence[Row], path: Path) -> None:
    """Bars of the median round, a panel a case."""
    groups = grouped([r for r in results if "error" not in r])
    cases = [name for name in CASES if any(case == name for case, _ in groups)]
    figure = Figure(figsize=(10, 1.2 + 1.8 * len(cases)), layout="constrained")
    panels = figure.subplots(len(cases), 1, squeeze=False)[:, 0]
    for panel, name in zip(panels, cases, strict=True):
        median = {
            subject: statistics.median(r["round_s"] for r in own)
            for (case, subject), own in groups.items()
            if case == name
        }
        _bars(panel, median)
        panel.set_title(CASES[name].title, loc="left")
    panels[-1].set_xlabel("seconds of a steady round")
    figure.savefig(path, format="svg", metadata=_NO_DATE)


def _bars(panel: Any, seconds: Mapping[str, float]) -> None:
    """From zero; one that would make all others short is cut, and says so."""
    order = sorted(seconds, key=seconds.__getitem__, reverse=True)
    first, second = (seconds[name] for name in order[:2])
    most = 1.15 * (second if first > _CUT * second else first)
    colors = [_OURS if name.startswith(("engine", "wardround")) else _THEIRS for name in order]
    panel.barh(order, [min(seconds[name], most) for name in order], color=colors)
    for row, name in enumerate(order):
        cut = seconds[name] > most
        end, side, color = (
            (0.99 * most, "right", "white") if cut else (seconds[name], "left", "black")
        )
        text = f" {seconds[name]:.3g}{' (bar cut)' if cut else ''}"
        panel.text(end, row, text, ha=side, va="center", color=color)
    panel.set_xlim(0, most)


def scale_plot(results: Sequence[Row], path: Path) -> None:
    """Seconds and memory over hospitals, and seconds over parameters, with the line expected."""
    figure = Figure(figsize=(11, 3.6), layout="constrained")
    seconds, memory, size = figure.subplots(1, 3)
    hospitals = [r for r in results if r["case"].startswith("hospitals")]
    models = [r for r in results if r["case"].startswith("width")]
    if hospitals:
        most = max(hospitals, key=lambda r: (r["cohort"], -r["hospitals"]))
        expected = [most["round_s"] * r["cohort"] / most["cohort"] for r in hospitals]
        _panel(seconds, hospitals, "hospitals", "round_s", expected)
        least = hospitals[0]
        flat = [least["peak_mb"] + r["data_mb"] - least["data_mb"] for r in hospitals]
        _panel(memory, hospitals, "hospitals", "peak_mb", flat)
    if models:
        largest = models[-1]
        straight = [largest["round_s"] * r["parameters"] / largest["parameters"] for r in models]
        _panel(size, models, "parameters", "round_s", straight)
    figure.savefig(path, format="svg", metadata=_NO_DATE)


_LABELS = {"round_s": "seconds a round", "peak_mb": "peak MB of all processes"}


def _panel(panel: Any, rows: Sequence[Row], x: str, y: str, line: Sequence[float]) -> None:
    along = [r[x] for r in rows]
    panel.plot(along, [r[y] for r in rows], "o-", label="measured")
    panel.plot(along, line, "--", color="grey", label="as it should be")
    panel.set(xscale="log", yscale="log", xlabel=x, ylabel=_LABELS[y])
    panel.legend()


if __name__ == "__main__":
    main(sys.argv[1:])
