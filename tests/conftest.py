"""Real servers and real projects for tests: one Prefect server a session, one MLflow database."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tasks.environment import QUIET
from tests.servers import prefect_server

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "data"

# before anything imports prefect: its home is a throw-away folder of this session
for name, value in QUIET.items():
    os.environ[name] = value
os.environ["PREFECT_LOGGING_LEVEL"] = "CRITICAL"
os.environ["PREFECT_SERVER_LOGGING_LEVEL"] = "CRITICAL"
os.environ["MLFLOW_LOGGING_LEVEL"] = "WARNING"
os.environ.pop("PREFECT_API_URL", None)


@pytest.fixture(scope="session")
def prefect_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The API of a real Prefect server on loopback, with an empty database."""
    home = tmp_path_factory.mktemp("prefect")
    os.environ["PREFECT_HOME"] = str(home)
    server, url = prefect_server(home)
    with server:
        yield url


@pytest.fixture(scope="session")
def migrated_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database after its migrations (a second's work), to be copied."""
    from mlflow import MlflowClient

    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


SMALL: dict[str, Any] = {
    "data": {
        "dataset": "synthetic",
        "source": {"hospitals": 3, "rows": 60, "features": 4},
        "hospitals": [],
        "min_rows": 10,
    },
    "algorithm": {"local": {"epochs": 1}},
    "run": {"rounds": 3, "experiment": "test", "registered_model": "tested"},
}

Project = Callable[..., Path]


@pytest.fixture
def make_project(tmp_path: Path, migrated_database: Path) -> Project:
    """Makes a project folder of three small synthetic hospitals; settings by section."""

    def make(name: str = "project", **sections: dict[str, Any]) -> Path:
        return small_project(tmp_path / name, migrated_database, **sections)

    return make


def small_project(project: Path, database: Path, **sections: dict[str, Any]) -> Path:
    """A project of three small synthetic hospitals, with a copy of the MLflow database."""
    (project / "mlruns").mkdir(parents=True)
    shutil.copy(database, project / "mlruns" / "mlflow.db")
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    for changes in (SMALL, sections):
        for section, given in changes.items():
            values[section] = merged(values[section], given)
    (project / "params.yaml").write_text(yaml.safe_dump(values))
    return project


def merged(values: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """`values` with `changes` over it, section by section."""
    result = dict(values)
    for key, change in changes.items():
        inner = result.get(key)
        both = isinstance(inner, dict) and isinstance(change, dict)
        result[key] = merged(inner, change) if both else change
    return result


@pytest.fixture
def train(prefect_url: str) -> Iterator[Callable[..., Any]]:
    """Runs the real flow in this process against the session's Prefect server."""
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from flows.federated_training import federated_training

    def run(project: Path, *overrides: str, out: str = "reports") -> Any:
        return federated_training(project=str(project), overrides=list(overrides), out=out)

    with temporary_settings({PREFECT_API_URL: prefect_url}):
        yield run


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first, so that no worker has a long one left when others are idle."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)
