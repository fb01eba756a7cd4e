"""Markdown tables of finished studies, for docs/choosing.md.

    python -m benchmarks.study_tables [--metric COLUMN …] [--hospitals METRIC] FOLDER …

A study with a grid gets a line a setting and columns for every point of the grid; another one its
means, its differences to the reference, and the published figures. Prints what the folders hold.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from federated.contrast import Contrast, SeedResult, contrast, label
from federated.significance import interval
from federated.study import Study, variants
from tasks.contrast_table import cost_text, p_text, plus_minus, with_worst
from tasks.published_table import TITLES, beside
from tasks.report_files import RESULTS
from tasks.shown import MISSING
from tasks.study_plan import read_plan_of
from tasks.study_results import finished

_UNIT = 1e6  # bytes of a MB
_ROUNDS, _BYTES = "rounds_to_target", "bytes_sent"


def main(arguments: Sequence[str]) -> None:
    """Print the tables of each folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER")
    parser.add_argument("--metric", action="append", help="a column in place of the study's")
    parser.add_argument("--hospitals", metavar="METRIC", help="only this metric, by hospital")
    given = parser.parse_args(arguments)
    for folder in given.folders:
        study, runs = read_plan_of(folder)
        results = finished(folder, study, runs)
        print(described(study, len(results), len(runs)))
        if given.hospitals:
            print("", hospitals_table(folder, results, given.hospitals), sep="\n")
            continue
        print(*tables(study, results, given.metric), sep="\n")


def described(study: Study, done: int, planned: int) -> str:
    """Name, settings, seeds, and how many of the runs are there."""
    seeds = ", ".join(map(str, study.seeds))
    return f"### {study.name}\n\n{done} of {planned} runs are finished; seeds {seeds}."


def tables(study: Study, results: Sequence[SeedResult], metrics: Sequence[str] | None) -> list[str]:
    """The study's tables, each after a blank line."""
    found = contrast(results, metrics or study.metrics, study.reference)
    if study.grid:
        shown = [grid_table(study, found)]
    else:
        shown = [means_table(study, found), differences_table(found)]
        shown += [published_table(study, results)] if study.published else []
    return [f"\n{table}" for table in shown]


def means_table(study: Study, found: Contrast) -> str:
    """A line a setting: mean ± half of its 95 % interval, rounds to the target, kB sent."""
    columns = with_worst(found.columns)
    titles = ["Setting", "Seeds", *map(label, columns), rounds_title(study), "kB sent"]
    lines = []
    for name in found.settings:
        own, n = found.means[name], len(found.seeds[name])
        costs = [cost_text(cost, own.get(cost), n) for cost in (_ROUNDS, _BYTES)]
        lines.append([name, str(n), *(plus_minus(own.get(c)) for c in columns), *costs])
    return markdown(titles, lines)


def differences_table(found: Contrast) -> str:
    """A line a setting: its difference to the reference and Holm's p, column by column.

    Sure differences are bold.
    """
    cells = {(one.setting, one.column): one for one in found.differences}
    titles = [f"Against {found.reference}", *map(label, found.columns)]
    lines = []
    for name in (name for name in found.settings if name != found.reference):
        line = [name]
        for one in (cells[name, column] for column in found.columns):
            difference, sure = one.found.difference, one.verdict in ("higher", "lower")
            text = MISSING if difference is None else f"{difference.mean:+.4f}"
            text += "" if one.adjusted is None else f", {p_text(one.adjusted)}"
            line.append(f"**{text}**" if sure else text)
        lines.append(line)
    return f"{markdown(titles, lines)}\n\np corrected for {found.tests} comparisons (Holm)."


def published_table(study: Study, results: Sequence[SeedResult]) -> str:
    """Mean ± standard deviation over seeds, ours and theirs."""
    columns = dict.fromkeys(c for figures in study.published.values() for c in figures)
    lines = [
        [row[0], label(column), *row[1:]]
        for column in columns
        for row in beside(results, study.published, column)
    ]
    titles = ["Setting", "Figure", *TITLES]
    return markdown(titles, lines, left=2)


def hospitals_table(folder: Path, results: Sequence[SeedResult], metric: str) -> str:
    """A line a setting: the metric at each hospital, mean ± half of its 95 % interval over seeds.

    Settings whose hospitals have other names than the first's are left out.
    """
    values: dict[str, dict[str, list[float]]] = {}
    for one in results:
        file = folder / one.setting / f"seed-{one.seed}" / RESULTS
        hospitals = json.loads(file.read_text(encoding="utf-8"))["hospitals"]
        own = values.setdefault(one.setting, {name: [] for name in sorted(hospitals)})
        for name, figures in hospitals.items():
            if figures[metric] is not None:
                own[name].append(figures[metric])
    titles = [*next(iter(values.values()))]
    lines = [
        [setting, *(plus_minus(interval(v) if v else None) for v in own.values())]
        for setting, own in values.items()
        if [*own] == titles
    ]
    return markdown(["Setting", *titles], lines)


def grid_table(study: Study, found: Contrast) -> str:
    """A line a setting; for each point of the grid its first metric, rounds and MB sent."""
    names = [*variants(study)]
    points = len(names) // len(study.settings)
    first = next(iter(study.settings))
    titles = ["Setting"]
    for name in names[:points]:
        point = name.removeprefix(f"{first}_")
        titles += [f"{point}: {label(found.columns[0])}", rounds_title(study), "MB sent"]
    lines = []
    for i, setting in enumerate(study.settings):
        own = names[i * points : (i + 1) * points]
        lines.append([setting, *(cell for name in own for cell in _point(found, name))])
    return markdown(titles, lines)


def _point(found: Contrast, name: str) -> list[str]:
    own = found.means.get(name)
    if own is None:
        return ["not run"] * 3
    rounds = cost_text(_ROUNDS, own.get(_ROUNDS), len(found.seeds[name]))
    sent = f"{own[_BYTES].mean / _UNIT:,.1f}" if _BYTES in own else MISSING
    return [plus_minus(own.get(found.columns[0])), rounds.removesuffix(".0"), sent]


def rounds_title(study: Study) -> str:
    """`Rounds to AUROC 0.9`."""
    goal = study.target
    return "Rounds to target" if goal is None else f"Rounds to {label(goal.metric)} {goal.value:g}"


def markdown(titles: Sequence[str], lines: Sequence[Sequence[str]], left: int = 1) -> str:
    """A table whose first `left` columns are aligned left, the others right."""
    marks = ["---"] * left + ["--:"] * (len(titles) - left)
    body = ["| " + " | ".join(line) + " |" for line in (titles, *lines)]
    return "\n".join([body[0], f"|{'|'.join(marks)}|", *body[1:]])


if __name__ == "__main__":
    main(sys.argv[1:])
