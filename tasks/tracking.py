"""MLflow, the readers' copy of the journal.

One experiment a study, one parent run a federation, one nested run a hospital where they are few,
`step = round`. Only `MlflowClient` with explicit run ids is used (the fluent API keeps an active
run per thread). Every write is idempotent: a metric's identity is (key, value, timestamp, step)
and the timestamp comes from the journal, so copying a round again after a crash adds nothing.
"""

import json
import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from mlflow import MlflowClient
from mlflow.entities import (
    Dataset,
    DatasetInput,
    InputTag,
    LifecycleStage,
    Metric,
    Param,
    Run,
    ViewType,
)
from mlflow.exceptions import MlflowException
from mlflow.tracking.context.registry import resolve_tags
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from federated.metrics import Summary, summary
from tasks.lasting import lasting
from tasks.mlflow_database import client_of
from tasks.quantiles import defined, quantiles
from tasks.round_record import RoundRecord
from tasks.telling import tell

JOURNAL_TAG = "wardround.journal"
_METRICS_AT_ONCE, _PARAMS_AT_ONCE = 1000, 100  # MLflow's limits of one call
_INPUTS_AT_ONCE = 500  # SQLite's variables in one statement are bounded
_T = TypeVar("_T")
_KIND = {"mlflow.experimentKind": "custom_model_development"}  # which page MLflow opens


@dataclass(frozen=True)
class TrackedRun:
    """Ids in MLflow: the parent run and each hospital's nested run, if they have any.

    artifacts: the parent run's folder, where its artifacts are files of this machine.
    """

    uri: str
    parent: str
    hospitals: dict[str, str]
    artifacts: Path | None = None

    @property
    def ids(self) -> list[str]:
        """Of all its runs."""
        return [self.parent, *self.hospitals.values()]

    @property
    def client(self) -> MlflowClient:
        """A client of the tracking server these ids belong to."""
        return client_of(self.uri)


def open_run(
    uri: str,
    project: Path,
    experiment: str,
    name: str,
    journal: str,
    hospitals: Mapping[str, str],
    parameters: Mapping[str, Any],
    tags: Mapping[str, str],
    hospital_runs: int = 16,
) -> TrackedRun:
    """The run of this journal: found by its tag if it was begun before, else created.

    What was deleted in MLflow meanwhile is restored, and said; what is gone for good is made anew.
    MLflow adds its own tags: who runs it, from which script.
    hospitals: name → md5 of its records, logged as the run's input data sets. hospital_runs: with
    more of them they have no nested runs.
    """
    client = client_of(uri)
    experiment_id = _experiment(client, experiment, uri, project)
    known = _known(client, experiment_id, journal)
    parent = known.get(journal) or client.create_run(
        experiment_id, run_name=name, tags=resolve_tags({**tags, JOURNAL_TAG: journal})
    )
    children = {}
    few = len(hospitals) <= hospital_runs
    for hospital, md5 in hospitals.items() if few else ():
        tag = f"{journal}/{hospital}"
        child = known.get(tag) or client.create_run(
            experiment_id,
            run_name=hospital,
            tags={
                JOURNAL_TAG: tag,
                MLFLOW_PARENT_RUN_ID: parent.info.run_id,
                "wardround.hospital": hospital,
                "wardround.data": md5,
            },
        )
        children[hospital] = child.info.run_id
        if child.data.tags[MLFLOW_PARENT_RUN_ID] != parent.info.run_id:
            client.set_tag(child.info.run_id, MLFLOW_PARENT_RUN_ID, parent.info.run_id)
    folder = _local_folder(parent)
    tracked = TrackedRun(uri, parent.info.run_id, children, folder)
    for run in known.values():
        client.update_run(run.info.run_id, status="RUNNING")
    _describe(tracked, parameters, hospitals)
    return tracked


def ensure_experiment(uri: str, project: Path, name: str) -> None:
    """Make the experiment and the database now: several processes at once would make them twice."""
    _experiment(client_of(uri), name, uri, project)


def make_database(uri: str) -> None:
    """Create or migrate the tables, which any first question does."""
    client_of(uri).search_experiments(max_results=1)


def log_rounds(tracked: TrackedRun, records: Sequence[RoundRecord]) -> None:
    """Copy the metrics of finished rounds, all in few calls: of all hospitals, and of each."""
    found: dict[str, list[Metric]] = {}
    for record in records:
        for run_id, values in _of_round(tracked, record).items():
            found.setdefault(run_id, []).extend(_metrics(values, record))
    for run_id, metrics in found.items():
        _log(tracked, run_id, metrics)


def log_weights(tracked: TrackedRun, number: int, source: Path) -> None:
    """`rounds/007/weights.safetensors`: the journal's own file by another name where artifacts are
    files of this machine, and of the same disk; else its copy."""
    place = f"rounds/{number:03d}"
    if tracked.artifacts is not None:
        with suppress(OSError):
            _link(source, tracked.artifacts / place / "weights.safetensors")
            return
    with tempfile.TemporaryDirectory(dir=source.parent) as scratch:
        named = Path(scratch) / "weights.safetensors"
        named.hardlink_to(source)
        tracked.client.log_artifact(tracked.parent, str(named), place)


def log_baselines(tracked: TrackedRun, values: Mapping[str, float], record: RoundRecord) -> None:
    """Baselines as metrics of the last round, to compare by."""
    _log(tracked, tracked.parent, _metrics(values, record))


def log_model_metrics(tracked: TrackedRun, model_id: str, record: RoundRecord) -> None:
    """The run's metrics of a round as those of the logged model that has its weights."""
    values = _of_round(tracked, record)[tracked.parent]
    found = [
        Metric(m.key, m.value, m.timestamp, m.step, model_id, run_id=tracked.parent)
        for m in _metrics(values, record)
    ]
    _log(tracked, tracked.parent, found)


def tag_run(tracked: TrackedRun, name: str, text: str) -> None:
    """A tag of the run."""
    tracked.client.set_tag(tracked.parent, name, text)


def describe_run(tracked: TrackedRun, text: str) -> None:
    """Markdown that MLflow shows above the run."""
    tag_run(tracked, "mlflow.note.content", text)


def log_files(tracked: TrackedRun, files: list[Path], folder: str | None = None) -> None:
    """Copy files into the run's artifacts."""
    for path in files:
        tracked.client.log_artifact(tracked.parent, str(path), folder)


def close_run(tracked: TrackedRun, status: str) -> None:
    """Mark parent and nested runs FINISHED, FAILED or KILLED."""
    for run_id in (*tracked.hospitals.values(), tracked.parent):
        tracked.client.set_terminated(run_id, status)


def _of_round(tracked: TrackedRun, record: RoundRecord) -> dict[str, dict[str, float]]:
    """Run id → metrics of the round."""
    found = record.metrics()
    per_hospital, measures = found.hospitals, found.total.reading.measures
    values = {f"global/{k}": v for k, v in defined(found.total.metrics())}
    values |= _spread(summary(per_hospital, measures))
    if not tracked.hospitals:
        values |= quantiles(per_hospital, measures)
    if record.train_loss:
        values["train/loss"] = math.fsum(record.train_loss.values()) / len(record.train_loss)
        values["train/hospitals"] = len(record.cohort)
        values["train/steps"] = sum(record.steps.values())
        values["train/bytes_sent"] = sum(record.sent.values())
    by_run = {tracked.parent: values}
    for hospital, run_id in tracked.hospitals.items():
        if hospital not in per_hospital:
            continue
        own = dict(defined(per_hospital[hospital]))
        if hospital in record.train_loss:
            own["train_loss"] = record.train_loss[hospital]
            own["bytes_sent"] = float(record.sent[hospital])
        by_run[run_id] = own
    return by_run


def _metrics(values: Mapping[str, float], record: RoundRecord) -> list[Metric]:
    return [Metric(k, float(v), record.time_ms, record.round) for k, v in values.items()]


def _log(tracked: TrackedRun, run_id: str, metrics: Sequence[Metric]) -> None:
    for some in _some(metrics, _METRICS_AT_ONCE):
        tracked.client.log_batch(run_id, metrics=some)


def _some(items: Sequence[_T], size: int) -> Iterator[Sequence[_T]]:
    """The items, so many at a time."""
    return (items[start : start + size] for start in range(0, len(items), size))


def _link(source: Path, target: Path) -> None:
    """Another name for a file. Raises OSError where the file system has no such thing."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists() and target.samefile(source):
        return
    target.unlink(missing_ok=True)
    target.hardlink_to(source)


def _local_folder(run: Run) -> Path | None:
    uri = str(run.info.artifact_uri)
    return Path(unquote(urlsplit(uri).path)) if uri.startswith(("file:///", "/")) else None


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
        if found.lifecycle_stage == LifecycleStage.DELETED:
            client.restore_experiment(found.experiment_id)
            tell(f"MLflow's experiment {name!r} was deleted: it is restored")
        return str(found.experiment_id)
    local = uri.startswith("sqlite:")
    artifacts = (lasting(project) / "mlruns" / "artifacts").resolve().as_uri() if local else None
    try:
        return str(client.create_experiment(name, artifact_location=artifacts, tags=_KIND))
    except MlflowException:
        made = client.get_experiment_by_name(name)
        if made is None:
            raise
        return str(made.experiment_id)  # another command was quicker


def _known(client: MlflowClient, experiment_id: str, journal: str) -> dict[str, Run]:
    """Journal's tag → its run. One that was deleted is restored unless another took its place."""
    query = f"tags.`{JOURNAL_TAG}` LIKE '{journal}%'"
    runs = list(client.search_runs([experiment_id], query, ViewType.ALL, max_results=50_000))
    runs.sort(key=lambda run: run.info.lifecycle_stage == LifecycleStage.ACTIVE)
    found = {str(run.data.tags[JOURNAL_TAG]): run for run in runs}
    for run in found.values():
        if run.info.lifecycle_stage == LifecycleStage.DELETED:
            client.restore_run(run.info.run_id)
            tell(f"MLflow's run {run.info.run_name!r} was deleted: it is restored")
    return found


def _describe(
    tracked: TrackedRun, parameters: Mapping[str, Any], hospitals: Mapping[str, str]
) -> None:
    """Parameters and input data sets. MLflow keeps a parameter's first value: what a later command
    of this run had in its place, which changes no number, is a tag."""
    known = tracked.client.get_run(tracked.parent).data.params
    params = [Param(k, str(v)) for k, v in parameters.items() if k not in known]
    for some in _some(params, _PARAMS_AT_ONCE):
        tracked.client.log_batch(tracked.parent, params=some)
    for name, value in parameters.items():
        if known.get(name, str(value)) != str(value):
            tag_run(tracked, f"wardround.resumed_with.{name}", str(value))
    inputs = {hospital: _input(hospital, md5) for hospital, md5 in hospitals.items()}
    for hospital, run_id in tracked.hospitals.items():
        _log_inputs(tracked.client, run_id, [inputs[hospital]])
    for several in _some(list(inputs.values()), _INPUTS_AT_ONCE):
        _log_inputs(tracked.client, tracked.parent, several)


def _log_inputs(client: MlflowClient, run_id: str, inputs: Sequence[DatasetInput]) -> None:
    """Link data sets to a run. MLflow looks whether it knows them and then adds them: of two runs
    that begin on the same data at once, one is refused, and finds them there when it asks again."""
    try:
        client.log_inputs(run_id, list(inputs))
    except MlflowException as error:
        if "IntegrityError" not in str(error):
            raise
        client.log_inputs(run_id, list(inputs))


def _input(name: str, md5: str) -> DatasetInput:
    """Name and hash only: no schema profile, no sample, no row."""
    source = json.dumps({"hospital": name, "md5": md5})
    data = Dataset(name=name, digest=md5, source_type="dvc", source=source)
    return DatasetInput(data, [InputTag("mlflow.data.context", "training")])
