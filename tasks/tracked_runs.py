"""Reading finished runs back from MLflow, to compare them."""

from collections.abc import Mapping, Sequence

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from federated.contrast import MEAN, WORST, Curve, SeedResult, metrics_of
from federated.errors import WardroundError
from federated.plugins import nearest
from federated.weights import digest_json
from tasks.mlflow_database import answering, client_of, database_of

SETTING_TAG = "wardround.setting"
_GROUPS = {"global/": "", "mean_hospital/": MEAN, "worst_hospital/": WORST}
_SEED = "run.seed"
_OWN_PARAMS = {
    *("run.seed", "run.name", "run.experiment", "run.parallel", "run.log_every"),
    *("run.keep_weights", "run.keep_weights.every", "run.keep_weights.last", "run.hospital_runs"),
}
_BYTES = "train/bytes_sent"
_PAGE = 1000


def tracked_results(
    uri: str, wanted: Sequence[str], experiment: str | None, columns: Sequence[str]
) -> list[SeedResult]:
    """The runs with these ids or names, a setting for each group that differs by its seed alone.

    Curves are read of the columns' metrics. A later run of the same setting and seed counts.
    Raises WardroundError, naming the run, for one that is unknown or not finished.
    """
    path = database_of(uri)
    if path is not None and not path.exists():
        raise WardroundError(f"{path}: no such file: nothing was trained here yet")
    with answering(uri):
        return _tracked(client_of(uri), wanted, experiment, columns)


def _tracked(
    client: MlflowClient, wanted: Sequence[str], experiment: str | None, columns: Sequence[str]
) -> list[SeedResult]:
    found: dict[str, Run] = {}
    for name in wanted:
        for run in _runs(client, name, experiment):
            found[run.info.run_id] = run
    unfinished = [r for r in found.values() if r.info.status != "FINISHED"]
    if unfinished:
        names = ", ".join(f"{r.info.run_name} ({r.info.status})" for r in unfinished)
        raise WardroundError(f"not finished: {names}; compare finished runs")
    grouped = settings([(_label(run), run.data.params) for run in found.values()])
    return [
        _result(client, run, name, metrics_of(columns))
        for run, name in zip(found.values(), grouped, strict=True)
    ]


def settings(runs: Sequence[tuple[str, Mapping[str, str]]]) -> list[str]:
    """A setting's name for each (label, parameters), the same where only the seed differs.

    Runs of one label and other parameters get the parameters that differ behind the label.
    """
    own = [{k: v for k, v in p.items() if k not in _OWN_PARAMS} for _, p in runs]
    found = []
    for i, (label, _) in enumerate(runs):
        same = [own[j] for j, (other, _) in enumerate(runs) if other == label]
        keys = {k for p in same for k in p}
        differing = sorted(k for k in keys if any(p.get(k) != own[i].get(k) for p in same))
        given = ", ".join(f"{k.rpartition('.')[2]}={own[i].get(k, '—')}" for k in differing)
        found.append(f"{label} ({given})" if given else label)
    return found


def _runs(client: MlflowClient, name: str, experiment: str | None) -> list[Run]:
    """The run with this id, or the federations of this name or setting in the experiment."""
    if len(name) == 32 and all(c in "0123456789abcdef" for c in name):
        try:
            return [client.get_run(name)]
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            raise WardroundError(f"MLflow has no run with the id {name}") from None
    if experiment is None:
        raise WardroundError(f"{name!r} is no run id: name its --experiment, or give the id")
    known = client.get_experiment_by_name(experiment)
    if known is None:
        every = [e.name for e in client.search_experiments()]
        hint = nearest(experiment, every)
        raise WardroundError(f"MLflow has no experiment {experiment!r}; {hint}")
    federations = _federations(client, known.experiment_id)
    finished = [r for r in federations if r.info.status == "FINISHED"]
    found = [r for r in finished if name in (r.info.run_name, r.data.tags.get(SETTING_TAG))]
    if not found:
        hint = nearest(name, sorted({str(r.info.run_name) for r in finished}))
        raise WardroundError(f"experiment {experiment!r} has no finished run {name!r}; {hint}")
    return found


def _federations(client: MlflowClient, experiment_id: str) -> list[Run]:
    """Parent runs of an experiment, the oldest first."""
    found: list[Run] = []
    token = None
    while True:
        page = client.search_runs(
            [experiment_id], order_by=["start_time ASC"], max_results=_PAGE, page_token=token
        )
        found += [run for run in page if "mlflow.parentRunId" not in run.data.tags]
        token = page.token
        if not token:
            return found


def _label(run: Run) -> str:
    return str(run.data.tags.get(SETTING_TAG) or run.info.run_name)


def _result(client: MlflowClient, run: Run, setting: str, metrics: Sequence[str]) -> SeedResult:
    final = {
        column + key.removeprefix(prefix): float(value)
        for prefix, column in _GROUPS.items()
        for key, value in sorted(run.data.metrics.items())
        if key.startswith(prefix) and key != f"{prefix}rows"
    }
    curves: dict[str, Curve] = {}
    for metric in metrics:
        points = client.get_metric_history(run.info.run_id, f"global/{metric}")
        curves[metric] = tuple(sorted({p.step: float(p.value) for p in points}.items()))
    costs: dict[str, float] = {}
    sent = client.get_metric_history(run.info.run_id, _BYTES)
    costs |= {"bytes_sent": sum(p.value for p in sent)} if sent else {}
    if run.info.end_time is not None:
        costs["seconds"] = (run.info.end_time - run.info.start_time) / 1000
    return SeedResult(setting, _seed(run), final, curves, costs, _data(run))


def _data(run: Run) -> str:
    """What tells the records of its hospitals apart: names and hashes of its input data sets."""
    inputs = [] if run.inputs is None else run.inputs.dataset_inputs
    return digest_json(sorted([i.dataset.name, i.dataset.digest] for i in inputs))


def _seed(run: Run) -> int:
    try:
        return int(run.data.params[_SEED])
    except (KeyError, ValueError):
        raise WardroundError(
            f"run {run.info.run_name!r} ({run.info.run_id}) has no {_SEED}: it is no federation"
        ) from None
