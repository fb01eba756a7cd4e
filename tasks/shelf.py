"""Taking a model from the shelf: by its registered name, its run, or where it lies."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import mlflow
import pandas as pd
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from numpy.typing import NDArray

from federated.errors import DataError, WardroundError
from federated.plugins import nearest
from tasks.registry import MADE_BY

_RUN = re.compile(r"[0-9a-f]{32}")


class Refused(Protocol):
    """A cell that the schema forbids, as the code in the model says it (`logged_model.py`)."""

    position: int
    column: str
    why: str

    def in_words(self, cell: object) -> str:
        """For the caller, whose cell it is."""


@dataclass(frozen=True)
class Shelved:
    """A loaded model of MLflow's. version: of Wardround, which trained it."""

    uri: str
    version: str
    model: Any

    @property
    def takes_images(self) -> bool:
        """Images, and no table?"""
        return bool(self.model.metadata.get_input_schema().is_tensor_spec())

    @property
    def labels(self) -> Mapping[str, Sequence[str]]:
        """Columns of texts → those that it knows."""
        columns = self.model.unwrap_python_model().columns
        return {column.name: column.labels for column in columns if column.labels}

    @property
    def hospital_columns(self) -> Sequence[str]:
        """The column that names the hospital, if rows need one."""
        hospitals = self.model.unwrap_python_model().layout["hospitals"]
        return [hospitals["column"]] if hospitals else []

    def predict(self, images: NDArray[Any]) -> pd.DataFrame:
        """Predictions. Raises DataError for images of another shape or type."""
        with _faults_as_ours():
            found: pd.DataFrame = self.model.predict(images)
        return found

    def refused(self, table: pd.DataFrame) -> Sequence[Refused]:
        """The cells that the schema forbids. Raises DataError for an absent column."""
        with _faults_as_ours():
            found: Sequence[Refused] = self.model.unwrap_python_model().refused(table)
        return found

    def scored(self, table: pd.DataFrame) -> pd.DataFrame:
        """Predictions of rows without a refused cell."""
        found: pd.DataFrame = self.model.unwrap_python_model().scored(table)
        return found


@contextmanager
def _faults_as_ours() -> Iterator[None]:
    """What MLflow, or the code in the model, says of its input."""
    try:
        yield
    except MlflowException as error:
        raise DataError(error.message) from error


def take(model: str, uri: str) -> Shelved:
    """Load NAME@ALIAS, NAME/VERSION, a run's id, a URI of MLflow, or a model's folder.

    uri: of MLflow. Raises WardroundError for a model that is not there or does not say that it is
    one of ours. Loading runs the code in the model: who may write to this MLflow is trusted.
    """
    mlflow.set_tracking_uri(uri)
    where = _uri(model, MlflowClient(uri))
    try:
        known = mlflow.models.get_model_info(where).metadata or {}
        if MADE_BY not in known:
            raise WardroundError(
                f"{model}: not a model of Wardround, or of a version before it took files as they "
                "are; train it again"
            )
        loaded = mlflow.pyfunc.load_model(where)
    except (MlflowException, OSError) as error:
        raise WardroundError(f"{model}: MLflow cannot load it ({error})") from error
    return Shelved(where, str(known[MADE_BY]), loaded)


def _uri(model: str, client: MlflowClient) -> str:
    if (Path(model) / "MLmodel").is_file():
        return str(Path(model).resolve())
    if ":/" in model:
        return model
    if _RUN.fullmatch(model):
        return _of_run(model, client)
    name, mark, version = model.rpartition("@" if "@" in model else "/")
    if not mark:
        raise WardroundError(
            f"--model {model}: say which version, as {model}@champion or {model}/1"
        )
    _require(name, version, alias=mark == "@", client=client)
    return f"models:/{model}"


def _of_run(run: str, client: MlflowClient) -> str:
    try:
        outputs = client.get_run(run).outputs
    except MlflowException as error:
        raise WardroundError(f"--model {run}: MLflow has no such run") from error
    if outputs is None or not outputs.model_outputs:
        raise WardroundError(f"--model {run}: this run has logged no model; let it finish")
    return f"models:/{outputs.model_outputs[-1].model_id}"


def _require(name: str, version: str, *, alias: bool, client: MlflowClient) -> None:
    """Raise WardroundError, naming what there is, for a model or version that is not registered."""
    try:
        found = client.get_registered_model(name)
    except MlflowException as error:
        known = [one.name for one in client.search_registered_models()]
        hint = nearest(name, known) if known else "none is; `wardround train` registers one"
        raise WardroundError(f"no model {name!r} is registered in MLflow; {hint}") from error
    if alias and version not in found.aliases:
        raise WardroundError(f"{name}: no alias {version!r}; {nearest(version, [*found.aliases])}")
    numbers = [str(one.version) for one in client.search_model_versions(f"name = '{name}'")]
    if not alias and version not in numbers:
        raise WardroundError(f"{name}: no version {version!r}; {nearest(version, numbers[::-1])}")
