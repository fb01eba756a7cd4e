"""`wardround doctor`: exit code 0 where all is well, and each fault with what to do."""

import shutil
import socket
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from federated.config import load
from tasks.workspace import ensure_data, workspace
from tests.conftest import ROOT, Project
from tests.wardround.command import RAW, heart_project, wardround
from wardround.doctor import Finding, examine, leading


def faults(project: Path) -> list[Finding]:
    found = examine(project, project / "params.yaml")
    return [one for one in found if not one.ok and not one.note]


def test_a_fresh_clone_is_well_and_stays_as_it_is(tmp_path: Path) -> None:
    """Nothing is made, not even an empty folder; what to do first stands first."""
    project = heart_project(tmp_path / "clone")
    for name in ("dvc.yaml", "dvc.lock", "Makefile"):
        shutil.copy(ROOT / name, project)
    (project / ".dvc").mkdir()
    before = {*project.rglob("*")}
    done = wardround(project, "doctor")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[:2] == ["note nothing made yet", "     make train"]
    assert "MEND" not in done.stdout
    assert "ok   params.yaml is valid" in done.stdout
    assert {*project.rglob("*")} == before


def test_what_is_wrong_leads_and_what_is_stale_is_a_note(
    make_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = make_project()
    config = load(project / "params.yaml")
    ensure_data(workspace(project, config), config)
    (well,) = [one for one in examine(project, project / "params.yaml") if "hospitals" in one.what]
    assert (well.ok, well.what) == (True, "data/hospitals is made from what is there")
    text = (project / "params.yaml").read_text().replace("min_rows: 10", "min_rows: 11")
    (project / "params.yaml").write_text(text)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "false")
    first, *others = leading(examine(project, project / "params.yaml"))
    assert first.what == "MLFLOW_DISABLE_TELEMETRY=false"
    (stale,) = [one for one in others if "stale" in one.what]
    assert stale.what == "data/hospitals is stale: data.min_rows changed"
    assert (stale.note, stale.advice) == (True, "`wardround train` makes it again")


def test_a_moved_project_and_a_file_that_dvc_does_not_see_are_faults(
    tmp_path: Path, migrated_database: Path
) -> None:
    project = heart_project(tmp_path / "moved")
    shutil.copy(ROOT / "dvc.yaml", project)
    (project / ".dvc").mkdir()
    (project / "data" / "prepared").mkdir()
    shutil.copy(project / RAW, project / "data/raw/mine.csv")
    text = (project / "params.yaml").read_text()
    text = text.replace("source: {}", "source: {path: data/raw/mine.csv}")
    (project / "params.yaml").write_text(text)
    (project / "mlruns").mkdir()
    database = shutil.copy(migrated_database, project / "mlruns" / "mlflow.db")
    with closing(sqlite3.connect(database)) as known, known:
        known.execute(
            "INSERT INTO experiments (name, artifact_location) VALUES ('a', ?)",
            ("file:///old/mlruns/artifacts",),
        )
    found = {one.what: one.advice for one in faults(project)}
    assert "wardround relocate" in found["MLflow's database names files in /old/mlruns"]
    assert "stages.prepare.deps" in found["dvc.yaml does not name data/raw/mine.csv"]


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
