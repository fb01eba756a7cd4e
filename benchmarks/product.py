"""`wardround train` from the shell: Prefect, MLflow and the journal on, all weights kept."""

import json
import shutil
import sqlite3
import sys
from collections.abc import Sequence
from contextlib import closing
from importlib.metadata import version
from pathlib import Path

from benchmarks.cases import Case, overrides
from benchmarks.hospitals import project
from benchmarks.measure import Result, run, steady

_PACKAGES = ("torch", "prefect", "mlflow-skinny")
_LEFT_BEHIND = ("mlruns", ".prefect", "reports")


def timed(case: Case, engine: str | None, extra: Sequence[str] = ()) -> Result:
    """One cold run. engine: `engine.name`, None takes what params.yaml says; extra: overrides.

    Raises SubjectError if it fails.
    """
    folder = cleared(case)
    chosen = [] if engine is None else [f"engine.name={engine}"]
    settings = [*overrides(case), *chosen, *extra]
    command = [str(Path(sys.executable).with_name("wardround")), "train", "--no-report"]
    for setting in settings:
        command += ["--set", setting]
    found = run(command, folder)
    times = rounds(folder)
    return Result(
        subject=f"wardround ({engine or 'as set'})",
        case=case.name,
        round_s=steady(times),
        whole_s=found.seconds,
        peak_mb=found.peak_mb,
        accuracy=json.loads((folder / "reports" / "metrics.json").read_text())["global"][
            "accuracy"
        ],
        rounds=len(times),
        versions={name: version(name) for name in _PACKAGES},
    )


def cleared(case: Case) -> Path:
    """The case's project without anything of an earlier run."""
    folder = project(case)
    for name in _LEFT_BEHIND:
        shutil.rmtree(folder / name, ignore_errors=True)
    return folder


def rounds(folder: Path) -> list[float]:
    """When each round was committed, in seconds, from the only journal in a project."""
    (journal,) = (folder / "mlruns" / "journals").glob("*/journal.db")
    with closing(sqlite3.connect(f"file:{journal}?mode=ro", uri=True)) as database:
        found = database.execute("SELECT record FROM rounds WHERE round > 0 ORDER BY round")
        return [json.loads(record)["time_ms"] / 1000 for (record,) in found]
