"""A project that was moved: noticed, refused until it is mended, and its models load again."""

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow import MlflowClient

from federated.config import load
from federated.errors import DataError, WardroundError
from tasks.job import load_job
from tasks.lasting import lasting
from tasks.relocation import BACKUP, former, relocate
from tests.conftest import Project

MODEL = "models:/tested@champion"


def fingerprint(project: Path) -> str:
    return load_job(load(project / "params.yaml"), project).fingerprint


def test_a_moved_project_loads_its_models_and_goes_on(
    make_project: Project, train: Callable[..., Any], tmp_path: Path
) -> None:
    first, second = make_project("first place", run={"baselines": []}), tmp_path / "second"
    train(first)
    same = fingerprint(first)
    assert former(first) == []
    with pytest.raises(DataError, match="nothing to do"):
        relocate(first)
    shutil.move(first, second)
    assert former(second) == [first / "mlruns"]
    with pytest.raises(WardroundError, match="was moved or copied"):
        train(second, "run.seed=1")
    assert not first.exists()

    assert relocate(second) > 0
    assert former(second) == []
    assert (second / "mlruns" / BACKUP).is_file()
    uri = f"sqlite:///{second}/mlruns/mlflow.db"
    mlflow.set_tracking_uri(uri)
    assert mlflow.pyfunc.load_model(MODEL).metadata.signature is not None
    assert fingerprint(second) == same  # what was cut off goes on
    train(second, "run.seed=1")
    for run in MlflowClient(uri).search_runs(["1"]):
        assert run.info.artifact_uri.startswith(f"{(second / 'mlruns').as_uri()}/")
    assert not first.exists()


def test_what_cannot_be_mended_is_said(make_project: Project, tmp_path: Path) -> None:
    project = make_project()
    database = project / "mlruns" / "mlflow.db"
    name = "INSERT INTO experiments (name, artifact_location) VALUES ('a', ?)"
    with sqlite3.connect(database) as known:
        known.execute(name, ("file:///gone/mlruns/artifacts",))
        known.execute(name.replace("'a'", "'b'"), ("file:///somebodys/bucket",))
    known.close()
    assert former(project) == [Path("/gone/mlruns")]
    with pytest.raises(DataError, match="artifacts: no such folder; bring it here"):
        relocate(project)
    (project / "mlruns" / "artifacts").mkdir()
    assert relocate(project) == 1
    (project / "mlruns" / "mlflow.db").unlink()
    assert former(project) == []


def test_a_copy_that_dvc_made_is_not_the_project_that_lasts(tmp_path: Path) -> None:
    copy = tmp_path / ".dvc" / "tmp" / "exps" / "standalone" / "tmp123"
    copy.mkdir(parents=True)
    assert lasting(copy) == tmp_path
    assert lasting(tmp_path) == tmp_path
