"""The final model in MLflow: logged once in its run, and registered as a version.

Both are idempotent: what a killed command had done already is found and used.
"""

import json
import tempfile
from importlib.metadata import version
from pathlib import Path

import mlflow
from mlflow import MlflowClient
from mlflow.entities import LoggedModel, LoggedModelOutput, LoggedModelStatus
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from mlflow.utils.mlflow_tags import MLFLOW_MODEL_VERSIONS

from federated import cell_rules
from federated.schema import ImageSchema
from tasks.export import Scoring
from tasks.round_record import RoundRecord
from tasks.signature import in_words, signature
from tasks.tracking import TrackedRun, log_model_metrics

MADE_BY = "wardround"
"""The key of a model's metadata that holds the version that trained it."""
_REGISTERED = (
    "Models that hospitals trained together with Wardround. `challenger` is the newest; "
    "`champion` is a person's to move."
)


def log_model(
    tracked: TrackedRun,
    scoring: Scoring,
    record: RoundRecord,
    registered: str | None,
    description: str,
) -> str:
    """Log the final model with signature and input example, register it; returns its URI. record:
    of the model's round.

    The newest version gets the alias `challenger`; `champion` is a person's to give, but for the
    first version, which has no rival.
    """
    mlflow.set_tracking_uri(tracked.uri)
    client = tracked.client
    model_uri = logged(tracked) or _log_scoring(tracked, scoring, record)
    if registered is None:
        return model_uri
    mine = f"run_id = '{tracked.parent}'"
    versions = [v for v in client.search_model_versions(mine) if v.name == registered]
    model_id = model_uri.removeprefix("models:/")
    number = str(versions[0].version) if versions else _register(tracked, model_id, registered)
    known = json.dumps([{"name": registered, "version": number}])
    client.set_logged_model_tags(model_id, {MLFLOW_MODEL_VERSIONS: known})
    client.update_model_version(registered, number, f"{description}\n\n{in_words(scoring.schema)}")
    _alias(client, registered, number)
    return model_uri


def _register(tracked: TrackedRun, model_id: str, name: str) -> str:
    """A new version of the registered model `name`; `mlflow.register_model` would print."""
    client = tracked.client
    try:
        client.create_registered_model(name, description=_REGISTERED)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    made = client.create_model_version(
        name, f"models:/{model_id}", tracked.parent, model_id=model_id
    )
    return str(made.version)


def logged(tracked: TrackedRun) -> str | None:
    """The model that this run logged before it was killed; one cut off half-way is FAILED."""
    experiment = tracked.client.get_run(tracked.parent).info.experiment_id
    mine = f"source_run_id = '{tracked.parent}'"
    ready = None
    for model in tracked.client.search_logged_models([experiment], filter_string=mine):
        if model.status == LoggedModelStatus.READY:
            ready = str(model.model_uri)
        else:
            tracked.client.finalize_logged_model(model.model_id, LoggedModelStatus.FAILED)
    return ready


def _begin_model(tracked: TrackedRun) -> LoggedModel:
    """A model in the run's own experiment; left to itself, `Model.log` takes the default one."""
    run = tracked.client.get_run(tracked.parent)
    return tracked.client.create_logged_model(
        run.info.experiment_id, "model", tracked.parent, params=dict(run.data.params)
    )


def _log_scoring(tracked: TrackedRun, scoring: Scoring, record: RoundRecord) -> str:
    model = _begin_model(tracked)
    _link(tracked, model.model_id, record)
    with tempfile.TemporaryDirectory() as scratch:
        artifacts = _written(scoring, Path(scratch))
        code = "logged_image_model" if isinstance(scoring.schema, ImageSchema) else "logged_model"
        Model.log(
            artifact_path=None,
            model_id=model.model_id,
            flavor=mlflow.pyfunc,
            python_model=str(Path(__file__).with_name(f"{code}.py")),
            artifacts={name: str(path) for name, path in artifacts.items()},
            signature=signature(scoring),
            input_example=scoring.example,
            metadata={MADE_BY: version("wardround")},
            pip_requirements=[f"{p}=={version(p)}" for p in ("mlflow", "torch", "numpy", "pandas")],
        )
    return str(model.model_uri)


def _written(scoring: Scoring, folder: Path) -> dict[str, Path]:
    """The model's artifacts: name → file."""
    own = scoring.hospitals
    layout = {
        "predictions": list(scoring.predictions.columns),
        "hospitals": own and {"column": own.column, "names": list(own.names)},
    }
    contents = {
        "program.pt2": scoring.program,
        "schema.json": scoring.schema.model_dump_json(indent=2).encode(),
        "layout.json": json.dumps(layout).encode(),
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return {name: folder / name for name in contents} | {"cell_rules.py": Path(cell_rules.__file__)}


def _link(tracked: TrackedRun, model_id: str, record: RoundRecord) -> None:
    """The model as the run's output, with the metrics of its round.

    `Model.log`, if it knew the run, would ask for the history of each metric: dozens of requests.
    """
    outcome = LoggedModelOutput(model_id, step=record.round)
    tracked.client.log_outputs(tracked.parent, [outcome])
    log_model_metrics(tracked, model_id, record)


def _alias(client: MlflowClient, name: str, number: str) -> None:
    client.set_registered_model_alias(name, "challenger", number)
    if "champion" not in client.get_registered_model(name).aliases:
        client.set_registered_model_alias(name, "champion", number)
