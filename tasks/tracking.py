"""MLflow, the readers' copy of the journal.

One experiment a study, one parent run a federation, one nested run a hospital, `step = round`.
Only `MlflowClient` with explicit run ids is used (the fluent API keeps an active run per thread).
Every write is idempotent: a metric's identity is (key, value, timestamp, step) and the timestamp
comes from the journal, so mirroring a round again after a crash adds nothing.
"""

import json
import math
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, Run, RunTag
from mlflow.tracking.context.registry import resolve_tags

from federated.counts import merge
from federated.metrics import Metrics, Summary, summary
from tasks.journal import RoundRecord

JOURNAL_TAG = "wardround.journal"
_KIND = {"mlflow.experimentKind": "custom_model_development"}  # which page MLflow opens


@dataclass(frozen=True)
class TrackedRun:
    """Ids in MLflow: the parent run and each hospital's nested run."""

    uri: str
    parent: str
    hospitals: dict[str, str]

    @property
    def client(self) -> MlflowClient:
        """A client of the tracking server these ids belong to."""
        return MlflowClient(self.uri)


def tracking_uri(configured: str | None, project: Path) -> str:
    """The configured server, or the project's own SQLite file."""
    return configured or f"sqlite:///{(project / 'mlruns' / 'mlflow.db').resolve()}"


def open_run(
    uri: str,
    project: Path,
    experiment: str,
    name: str,
    journal: str,
    hospitals: Mapping[str, str],
    parameters: Mapping[str, Any],
    tags: Mapping[str, str],
) -> TrackedRun:
    """The run of this journal: found by its tag if it was begun before, else created.

    MLflow adds its own tags: who runs it, from which script.
    hospitals: name → md5 of its records, logged as the run's input data sets.
    """
    client = MlflowClient(uri)
    experiment_id = _experiment(client, experiment, uri, project)
    known = {r.data.tags[JOURNAL_TAG]: r for r in _runs_of(client, experiment_id, journal)}
    parent = known.get(journal) or client.create_run(
        experiment_id, run_name=name, tags=resolve_tags({**tags, JOURNAL_TAG: journal})
    )
    children = {}
    for hospital in hospitals:
        tag = f"{journal}/{hospital}"
        child = known.get(tag) or client.create_run(
            experiment_id,
            run_name=hospital,
            tags={
                JOURNAL_TAG: tag,
                "mlflow.parentRunId": parent.info.run_id,
                "wardround.hospital": hospital,
            },
        )
        children[hospital] = child.info.run_id
    tracked = TrackedRun(uri, parent.info.run_id, children)
    for run_id in (tracked.parent, *children.values()):
        client.update_run(run_id, status="RUNNING")
    _describe(tracked, parameters, hospitals)
    return tracked


def ensure_experiment(uri: str, project: Path, name: str) -> None:
    """Make the experiment and the database now: several processes at once would make them twice."""
    _experiment(MlflowClient(uri), name, uri, project)


def mirror(tracked: TrackedRun, record: RoundRecord, weights: Path) -> None:
    """Copy one finished round: metrics of all, of each hospital, and the weights."""
    per_hospital = {h: c.metrics() for h, c in record.counts.items()}
    merged = merge(list(record.counts.values()))
    values = {f"global/{k}": v for k, v in _numbers(merged.metrics())}
    values |= _spread(summary(per_hospital, merged.reading.measures))
    if record.train_loss:
        values["train/loss"] = math.fsum(record.train_loss.values()) / len(record.train_loss)
        values["train/hospitals"] = len(record.cohort)
        values["train/steps"] = sum(record.steps.values())
        values["train/bytes_sent"] = sum(record.sent.values())
    _log(tracked, tracked.parent, values, record)
    for hospital, run_id in tracked.hospitals.items():
        if hospital not in per_hospital:
            continue
        own: dict[str, float] = dict(_numbers(per_hospital[hospital]))
        if hospital in record.train_loss:
            own["train_loss"] = record.train_loss[hospital]
            own["bytes_sent"] = record.sent[hospital]
        _log(tracked, run_id, own, record)
    _log_weights(tracked, record.round, weights)


def log_baselines(tracked: TrackedRun, values: Mapping[str, float], record: RoundRecord) -> None:
    """Baselines as metrics of the last round, to compare by."""
    _log(tracked, tracked.parent, values, record)


def describe_run(tracked: TrackedRun, text: str) -> None:
    """Markdown that MLflow shows above the run."""
    tracked.client.set_tag(tracked.parent, "mlflow.note.content", text)


def log_files(tracked: TrackedRun, files: list[Path], folder: str | None = None) -> None:
    """Copy files into the run's artifacts."""
    for path in files:
        tracked.client.log_artifact(tracked.parent, str(path), folder)


def close_run(tracked: TrackedRun, status: str) -> None:
    """Mark parent and nested runs FINISHED, FAILED or KILLED."""
    for run_id in (*tracked.hospitals.values(), tracked.parent):
        tracked.client.set_terminated(run_id, status)


def _log(
    tracked: TrackedRun, run_id: str, values: Mapping[str, float], record: RoundRecord
) -> None:
    metrics = [Metric(k, float(v), record.time_ms, record.round) for k, v in values.items()]
    tracked.client.log_batch(run_id, metrics=metrics)


def _log_weights(tracked: TrackedRun, number: int, source: Path) -> None:
    """`rounds/007/weights.safetensors`, hard-linked first so that only its name is new."""
    with tempfile.TemporaryDirectory(dir=source.parent) as scratch:
        named = Path(scratch) / "weights.safetensors"
        named.hardlink_to(source)
        tracked.client.log_artifact(tracked.parent, str(named), f"rounds/{number:03d}")


def _numbers(values: Metrics) -> list[tuple[str, float]]:
    """The defined fields of a Metrics record: an undefined metric is missing, not 0."""
    return [(k, float(v)) for k, v in values.model_dump().items() if v is not None]


def _spread(found: Summary) -> dict[str, float]:
    """How hospitals differ, for the metrics that at least one of them has."""
    values: dict[str, float] = {}
    for metric, worst in found.worst.items():
        mean, spread = found.mean[metric], found.spread[metric]
        if worst is not None and mean is not None and spread is not None:
            values[f"worst_hospital/{metric}"] = worst.value
            values[f"mean_hospital/{metric}"] = mean
            values[f"spread/{metric}"] = spread
        values[f"undefined_hospitals/{metric}"] = float(found.undefined[metric])
    return values


def _experiment(client: MlflowClient, name: str, uri: str, project: Path) -> str:
    found = client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    local = uri.startswith("sqlite:")
    artifacts = (project / "mlruns" / "artifacts").resolve().as_uri() if local else None
    return str(client.create_experiment(name, artifact_location=artifacts, tags=_KIND))


def _runs_of(client: MlflowClient, experiment_id: str, journal: str) -> list[Run]:
    query = f"tags.`{JOURNAL_TAG}` LIKE '{journal}%'"
    return list(client.search_runs([experiment_id], query, max_results=50_000))


def _describe(
    tracked: TrackedRun, parameters: Mapping[str, Any], hospitals: Mapping[str, str]
) -> None:
    """Parameters and input data sets; MLflow accepts the same values again."""
    params = [Param(k, str(v)) for k, v in parameters.items()]
    for start in range(0, len(params), 100):
        tracked.client.log_batch(tracked.parent, params=params[start : start + 100])
    for hospital, md5 in hospitals.items():
        own = DatasetInput(_dataset(hospital, md5), [InputTag("mlflow.data.context", "training")])
        tracked.client.log_inputs(tracked.hospitals[hospital], [own])
        tags = [RunTag("wardround.data", md5)]
        tracked.client.log_batch(tracked.hospitals[hospital], tags=tags)
    inputs = [
        DatasetInput(_dataset(h, md5), [InputTag("mlflow.data.context", "training")])
        for h, md5 in hospitals.items()
    ]
    tracked.client.log_inputs(tracked.parent, inputs)


def _dataset(hospital: str, md5: str) -> Dataset:
    """Name and DVC hash only: no schema profile, no sample, no row."""
    source = json.dumps({"hospital": hospital, "md5": md5})
    return Dataset(name=hospital, digest=md5[:32], source_type="dvc", source=source)
