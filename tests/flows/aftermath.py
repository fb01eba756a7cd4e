"""What a run leaves: its files, its journal, and everything MLflow tells about it."""

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import LoggedModelStatus, Run

from tasks.journal import Journal

OUTPUTS = ("model.safetensors", "metrics.json", "rounds.csv", "evaluation.json")


@dataclass(frozen=True)
class Aftermath:
    """Everything in which a resumed run must equal an uninterrupted one.

    runs: (name, is nested, status) of each. histories: name and status of a run → metric → (step,
    value) of every point. models: (name, number of metrics) of each that is ready, in the
    experiment of the runs.
    data_sets: (run name, number of its inputs). versions: of the registered model → aliases.
    """

    outputs: dict[str, str]
    runs: list[tuple[str, bool, str]]
    histories: dict[str, dict[str, list[tuple[int, float]]]]
    weights: dict[str, str]
    models: list[tuple[str, int]]
    data_sets: list[tuple[str, int]]
    versions: dict[str, list[str]]
    journals: int


def aftermath(project: Path) -> Aftermath:
    """Read it all from the project's folder."""
    client = MlflowClient(f"sqlite:///{project / 'mlruns' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("test")
    assert experiment is not None
    runs = list(client.search_runs([experiment.experiment_id]))
    logged = [
        model
        for model in client.search_logged_models([experiment.experiment_id])
        if model.status == LoggedModelStatus.READY
    ]
    return Aftermath(
        outputs={name: sha256(project / "reports" / name) for name in OUTPUTS},
        runs=sorted((_name(r), _nested(r), r.info.status) for r in runs),
        histories={f"{_name(r)} {r.info.status}": _history(client, r) for r in runs},
        weights={
            str(path.relative_to(path.parents[1])): sha256(path)
            for path in (project / "mlruns" / "artifacts").glob("*/artifacts/rounds/*/*")
        },
        models=[(str(m.name), len(m.metrics or [])) for m in logged],
        data_sets=sorted(
            (_name(r), len(r.inputs.dataset_inputs if r.inputs else [])) for r in runs
        ),
        versions={
            str(version.version): sorted(
                client.get_model_version("tested", version.version).aliases
            )
            for version in client.search_model_versions("name = 'tested'")
        },
        journals=len(journals(project)),
    )


def differences(found: Aftermath, wanted: Aftermath) -> list[str]:
    """In which respects two runs left something else."""
    own, other = asdict(found), asdict(wanted)
    return [f"{key}: {own[key]} is not {other[key]}" for key in own if own[key] != other[key]]


def committed(project: Path) -> list[dict[str, Any]]:
    """The journal's finished rounds with their times; empty before the first.

    The last one's weights and state must be readable, or this raises CorruptDataError.
    """
    with _opened_copy(project) as journal:
        if journal is None:
            return []
        rounds = journal.rounds()
        if rounds:
            journal.load(rounds[-1].weights)
            journal.load(rounds[-1].state)
        return [vars(one) for one in rounds]


def is_noted(project: Path, label: str) -> bool:
    """Whether the journal holds the fact whose commit is called `label`."""
    with _opened_copy(project) as journal:
        name = label.partition(" of facts ")[2]
        return journal is not None and journal.fact(name) is not None


def is_finished(project: Path) -> bool:
    """Whether the journal says that the run has come to its end."""
    with _opened_copy(project) as journal:
        return journal is not None and journal.fact("finished") is True


@contextmanager
def _opened_copy(project: Path) -> Iterator[Journal | None]:
    """The project's last journal; a copy, as opening a database that was cut off mends it."""
    with TemporaryDirectory() as scratch:
        found = journals(project)
        if not found:
            yield None
            return
        journal = Journal(Path(shutil.copytree(found[-1], Path(scratch) / found[-1].name)))
        try:
            yield journal
        finally:
            journal.close()


def journals(project: Path) -> list[Path]:
    """The folders of journals."""
    return sorted(p for p in (project / "mlruns" / "journals").glob("*") if p.is_dir())


def sha256(path: Path) -> str:
    """Digest of a file's bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _name(run: Run) -> str:
    return str(run.info.run_name)


def _nested(run: Run) -> bool:
    return "mlflow.parentRunId" in run.data.tags


def _history(client: MlflowClient, run: Run) -> dict[str, list[tuple[int, float]]]:
    found: dict[str, Any] = {}
    for metric in run.data.metrics:
        points = client.get_metric_history(run.info.run_id, metric)
        found[metric] = sorted((point.step, point.value) for point in points)
    return found
