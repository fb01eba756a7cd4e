"""A study's results: read from its runs' files, written as tables.

Columns are what metrics.json and rounds.csv hold, whatever the task's metrics are called.
"""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

from federated.contrast import (
    MEAN,
    WORST,
    Curve,
    SeedResult,
    higher_is_better,
    rounds_to,
)
from federated.errors import ConfigError, WardroundError
from federated.results import ALL
from federated.study import Study, StudyRun, Target
from federated.weights import digest_json
from tasks.files import write_atomic
from tasks.report_files import RESULTS, ROUNDS
from tasks.study_plan import read_done

TABLE, TIMINGS = "study.csv", "timings.csv"
BYTES = "bytes_sent"
"""The column of rounds.csv with the bytes that a hospital sent in a round."""
_NO_METRIC = {"rows", "prevalence", "round", "train_loss", BYTES}
_COSTS = ("rounds_to_target", BYTES)


def finished(folder: Path, study: Study, runs: Sequence[StudyRun]) -> list[SeedResult]:
    """The runs of a study whose results are whole, in the given order."""
    found = []
    for run in runs:
        done = read_done(folder / run.folder)
        if done is not None:
            one = read_run(folder / run.folder, run.setting, run.seed, study.target)
            costs = {**one.costs, "seconds": done.seconds}
            found.append(replace(one, costs=costs))
    return found


def read_run(folder: Path, setting: str, seed: int, target: Target | None = None) -> SeedResult:
    """metrics.json and rounds.csv of one run. Raises WardroundError if one cannot be read."""
    metrics, rows = _metrics(folder / RESULTS), _rows(folder / ROUNDS)
    curves = _curves(rows)
    costs: dict[str, float] = {}
    if target is not None:
        reached = _rounds_to_target(curves, target)
        costs |= {} if reached is None else {"rounds_to_target": reached}
    sent = [row[BYTES] for row in rows if row["hospital"] != ALL and row.get(BYTES)]
    costs |= {BYTES: sum(int(float(cell)) for cell in sent)} if sent else {}
    data = digest_json(metrics["run"]["data"])
    return SeedResult(setting, seed, _final(metrics), curves, costs, data, _by_hospital(metrics))


def write_tables(folder: Path, results: Sequence[SeedResult]) -> None:
    """study.csv, the same bytes for the same results, and timings.csv."""
    columns = list(dict.fromkeys(name for one in results for name in one.final))
    costs = [name for name in _COSTS if any(name in one.costs for one in results)]
    lines = [["setting", "seed", *columns, *costs]]
    for one in results:
        values = {**one.final, **one.costs}
        cells = [values.get(name) for name in (*columns, *costs)]
        lines.append([one.setting, str(one.seed), *map(_cell, cells)])
    _write(folder / TABLE, lines)
    timings = [[one.setting, str(one.seed), f"{one.costs['seconds']:.2f}"] for one in results]
    _write(folder / TIMINGS, [["setting", "seed", "seconds"], *timings])


def _final(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Columns of study.csv: overall figures, then the hospitals' mean, then the worst hospital."""
    overall = _numbers(metrics[ALL])
    hospitals = [_numbers(metrics["hospitals"][h]) for h in sorted(metrics["hospitals"])]
    names = sorted({*overall, *(name for own in hospitals for name in own)})
    mean = {
        f"{MEAN}{name}": fmean(own[name] for own in hospitals if name in own)
        for name in names
        if any(name in own for own in hospitals)
    }
    worst = {
        f"{WORST}{name}": float(one["value"])
        for name, one in sorted(metrics["worst_hospital"].items())
        if one is not None
    }
    return {**dict(sorted(overall.items())), **mean, **worst}


def _by_hospital(metrics: Mapping[str, Any]) -> dict[str, float]:
    """`hospital/metric` → value."""
    return {
        f"{hospital}/{name}": value
        for hospital, own in sorted(metrics["hospitals"].items())
        for name, value in _numbers(own).items()
    }


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    """The defined metrics: numbers that are no counts of rows."""
    return {
        name: float(value)
        for name, value in values.items()
        if isinstance(value, int | float) and name not in _NO_METRIC
    }


def _curves(rows: Sequence[Mapping[str, str]]) -> dict[str, Curve]:
    """metric → its points over all hospitals, by round; gaps where it is undefined."""
    overall = sorted((int(row["round"]), row) for row in rows if row["hospital"] == ALL)
    names = [name for name in rows[0] if name not in {"hospital", *_NO_METRIC}] if rows else []
    return {n: tuple((r, float(row[n])) for r, row in overall if row[n]) for n in names}


def _rounds_to_target(curves: Mapping[str, Curve], target: Target) -> int | None:
    higher = higher_is_better(target.metric)
    if higher is None or target.metric not in curves:
        raise ConfigError(f"target.metric: {target.metric!r} is no metric of rounds.csv")
    return rounds_to(curves[target.metric], target.value, higher=higher)


def _metrics(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if {ALL, "hospitals", "worst_hospital", "run"} <= found.keys() and "data" in found["run"]:
            return found
    except (OSError, ValueError, AttributeError) as error:
        raise _unreadable(path, str(error)) from None
    raise _unreadable(path, "it holds no results")


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"), newline="")))
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, str(error)) from None
    if not rows or not {"round", "hospital"} <= rows[0].keys():
        raise _unreadable(path, "it has no rounds")
    return rows


def _unreadable(path: Path, why: str) -> WardroundError:
    return WardroundError(f"{path}: not readable ({why}); run the study with --again")


def _cell(value: float | None) -> str:
    """A float that reads back exactly; whole costs without a fraction; missing empty."""
    return "" if value is None else repr(value)


def _write(path: Path, lines: Sequence[Sequence[str]]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    write_atomic(path, text.getvalue().encode())
