from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

from federated.errors import ConfigError
from tasks.production import (
    folders,
    is_here,
    mlflow_server,
    own_servers,
    prefect_server,
    require_safe_prefect,
)


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("sqlite:////srv/mlflow.db", True),
        ("/srv/mlruns", True),
        ("http://127.0.0.1:4200/api", True),
        ("http://127.8.8.8:4200/api", True),
        ("http://[::1]:4200/api", True),
        ("http://localhost:4200/api", True),
        ("http://10.0.0.1:4200/api", False),
        ("https://prefect.example.org/api", False),
        ("http://localhost.example.org/api", False),
        ("http://127.0.0.1.example.org/api", False),
    ],
)
def test_what_is_on_this_machine(url: str, here: bool) -> None:
    assert is_here(url) is here


@pytest.mark.parametrize(
    ("url", "auth", "wrong"),
    [
        ("", None, 0),
        ("http://127.0.0.1:4200/api", None, 0),
        ("https://prefect.example.org/api", "user:word", 0),
        ("https://prefect.example.org/api", None, 1),
        ("http://prefect.example.org/api", "user:word", 1),
        ("http://prefect.example.org/api", "", 2),
    ],
)
def test_a_prefect_server_elsewhere_needs_tls_and_a_log_in(
    url: str, auth: str | None, wrong: int
) -> None:
    assert sum(not check.ok for check in prefect_server(url, auth)) == wrong


def test_an_mlflow_server_elsewhere_needs_tls_and_a_log_in() -> None:
    known = {"MLFLOW_TRACKING_USERNAME": "w", "MLFLOW_TRACKING_PASSWORD": "p"}
    assert all(check.ok for check in mlflow_server("https://mlflow.example.org", known))
    assert all(check.ok for check in mlflow_server("sqlite:///mlruns/mlflow.db", {}))
    assert not any(check.ok for check in mlflow_server("http://mlflow.example.org", {}))


def test_ones_own_servers_run_no_pickle_no_jobs_and_no_sqlite() -> None:
    good = {
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": "postgresql+asyncpg://prefect@db/prefect",
    }
    assert all(check.ok for check in own_servers(good))
    for name in good:
        bad = {key: value for key, value in good.items() if key != name}
        assert [check.ok for check in own_servers(bad)].count(False) == 1


def test_private_folders_are_their_owners_alone(tmp_path: Path) -> None:
    for name, mode in (("keys", 0o700), ("audit", 0o750), ("other", 0o777)):
        (tmp_path / name).mkdir()
        (tmp_path / name).chmod(mode)
    found = {check.what.split(" ")[0].rsplit("/", 1)[1]: check.ok for check in folders(tmp_path)}
    assert found == {"keys": True, "audit": False}


def test_a_deployment_does_not_begin_on_an_open_server() -> None:
    url = "http://prefect.example.org/api"
    with temporary_settings({PREFECT_API_URL: url}), pytest.raises(ConfigError) as error:
        require_safe_prefect()
    assert "https://" in str(error.value)
    assert "PREFECT_API_AUTH_STRING" in str(error.value)
    safe = {PREFECT_API_URL: "https://prefect.example.org/api", PREFECT_API_AUTH_STRING: "u:p"}
    with temporary_settings(safe):
        require_safe_prefect()
