"""`wardround doctor`: exit code 0 where all is well, and each fault with what to do."""

import shutil
import socket
from pathlib import Path

import pytest

from tests.conftest import ROOT, Project
from tests.wardround.command import wardround
from wardround.doctor import Finding, examine


def faults(project: Path) -> list[Finding]:
    found = examine(project, project / "params.yaml")
    return [one for one in found if not one.ok and not one.note]


@pytest.mark.slow
def test_a_fresh_project_is_well(make_project: Project) -> None:
    done = wardround(make_project(), "doctor")
    assert (done.returncode, done.stderr) == (0, "")
    assert "MEND" not in done.stdout
    assert "ok   params.yaml is valid" in done.stdout


def test_a_port_in_use_is_a_note_and_no_fault(make_project: Project) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(("127.0.0.1", 5000))
        except OSError:
            pass  # somebody else's server does as well
        else:
            taken.listen()
        found = examine(make_project(), ROOT / "params.yaml")
    (port,) = [one for one in found if one.what.startswith("port 5000")]
    assert (port.what, port.note) == ("port 5000 (MLflow) is in use", True)


def test_a_corrupted_and_a_missing_file_are_named(make_project: Project) -> None:
    project = make_project()
    folder = project / "data/hospitals/va"
    folder.mkdir(parents=True)
    shutil.copy(ROOT / "dvc.lock", project)
    (folder / "schema.json").write_text("{}")
    found = {one.what: one.advice for one in faults(project)}
    assert "data/hospitals/va/schema.json differs from dvc.lock" in found
    assert found["data/hospitals/va/records.safetensors is missing"] == "dvc repro"


def test_settings_that_send_telemetry_and_a_wrong_key_are_faults(
    make_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = make_project(run={"round": 3})
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "false")
    found = {one.what: one.advice for one in faults(project)}
    assert found["MLFLOW_DISABLE_TELEMETRY=false"] == "unset MLFLOW_DISABLE_TELEMETRY"
    assert "run.round" in found[f"{project / 'params.yaml'} is not valid"]


def test_production_names_what_an_open_server_lacks(make_project: Project) -> None:
    project = make_project()
    (project / "keys").mkdir(mode=0o755)
    plain = {"PREFECT_API_URL": "http://prefect.example.org/api"}
    done = wardround(project, "doctor", "--production", **plain)
    assert done.returncode == 1
    for part in (
        "MEND Prefect's server http://prefect.example.org/api is reached over TLS",
        "set PREFECT_SERVER_API_AUTH_STRING at the server",
        "MEND Prefect's server keeps its database in PostgreSQL",
        f"chmod -R go= {project / 'keys'}",
    ):
        assert part in done.stdout
