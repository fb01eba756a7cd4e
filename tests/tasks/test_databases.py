"""MLflow's and Prefect's databases in files: made whole by whoever is first, and their faults."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mlflow import MlflowClient
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DatabaseError

from tasks.faults import reason
from tasks.mlflow_database import client_of
from tests.conftest import Project
from tests.flows.faults import fill, small_disk
from tests.tasks.test_server import PATIENCE
from tests.tasks.test_stopping import home, statuses
from tests.wardround.command import SCRIPT, environment, wardround

MAKES = "import sys; from tasks.mlflow_database import client_of; client_of(sys.argv[1])"
SHORT = ("train", "--no-report", "--set", "run.rounds=2", "--set", "run.baselines=[]")


@pytest.mark.slow
def test_three_first_runs_at_once_end_well(make_project: Project) -> None:
    """Nothing is there yet: no data, neither database."""
    project = make_project()
    (project / "mlruns" / "mlflow.db").unlink()
    given = environment(**home(project))
    commands = [
        subprocess.Popen(
            [SCRIPT, *SHORT, "--out", f"reports/{n}", "--set", f"run.seed={n}"],
            cwd=project,
            env=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for n in range(3)
    ]
    said = [command.communicate(timeout=5 * PATIENCE)[0] for command in commands]
    assert [command.returncode for command in commands] == [0, 0, 0], said
    assert statuses(project) == {"FINISHED"}
    client = MlflowClient(f"sqlite:///{project / 'mlruns' / 'mlflow.db'}")
    versions = client.search_model_versions("name = 'tested'")
    assert sorted(int(v.version) for v in versions) == [1, 2, 3]


def test_a_kill_while_the_tables_are_made_leaves_none(tmp_path: Path) -> None:
    path = tmp_path / "mlruns" / "mlflow.db"
    uri = f"sqlite:///{path}"
    making = subprocess.Popen([sys.executable, "-c", MAKES, uri])
    until = time.monotonic() + PATIENCE
    while not any(p.stat().st_size > 0 for p in path.parent.glob(".mlflow.db-*/mlflow.db")):
        assert time.monotonic() < until
        assert making.poll() is None
        time.sleep(0.01)
    making.send_signal(signal.SIGKILL)
    making.wait(timeout=PATIENCE)
    assert not path.exists()
    assert [e.name for e in client_of(uri).search_experiments()] == ["Default"]
    assert sorted(p.name for p in path.parent.iterdir()) == ["mlflow.db", "mlflow.db.lock"]


def test_the_reason_is_one_line_without_statements_and_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "some.db"
    made = create_engine(f"sqlite:///{path}")
    with made.begin() as known:
        known.execute(text("CREATE TABLE secret (value TEXT)"))
    insert = text("INSERT INTO secret VALUES (:value)")

    def fault(uri: str, *before: str) -> str:
        def run() -> None:
            with create_engine(uri).connect() as known:
                for statement in before:
                    known.execute(text(statement))
                known.execute(insert, {"value": "x" * 100_000})

        with pytest.raises(DatabaseError) as raised:
            run()
        words = reason(raised.value)
        assert "\n" not in words
        assert "secret" not in words
        return words

    plain = f"sqlite:///{path}?timeout=0"
    assert "disk is full; free some space" in fault(plain, "PRAGMA max_page_count = 2")
    assert "check owner and permissions" in fault(f"sqlite:///file:{path}?mode=ro&uri=true")
    with made.connect() as other:
        other.execute(text("BEGIN IMMEDIATE"))
        assert "another program holds the database" in fault(plain)
    path.write_bytes(b"no database at all" * 1000)
    assert "restore the database from a backup" in fault(plain)


@pytest.mark.slow
@pytest.mark.parametrize("file", ["mlruns/mlflow.db", ".prefect/prefect.db"])
def test_a_damaged_database_is_one_message(make_project: Project, file: str) -> None:
    project = make_project()
    (project / file).parent.mkdir(exist_ok=True)
    (project / file).write_bytes(b"no database at all" * 1000)
    done = wardround(project, *SHORT, **home(project))
    assert done.returncode == 1
    assert done.stderr.startswith("wardround: ")
    assert "file is not a database; restore the database from a backup" in done.stderr
    assert file.rpartition("/")[0] in done.stderr
    assert "Traceback" not in done.stderr
    assert "[SQL" not in done.stderr


@pytest.mark.slow
def test_a_full_disk_is_one_message_and_the_same_command_goes_on(make_project: Project) -> None:
    project = make_project()
    disk = project / ".prefect"
    try:
        with small_disk(disk):
            taken = fill(disk)
            full = wardround(project, *SHORT, **home(project))
            assert full.returncode == 1
            assert full.stderr.startswith("wardround: Prefect's temporary server did not start: ")
            assert "free some space" in full.stderr or "free space" in full.stderr
            assert "Traceback" not in full.stderr
            taken.unlink()
            subprocess.run(["mount", "-o", "remount,size=50m", str(disk)], check=True)
            done = wardround(project, *SHORT, **home(project))
            assert (done.returncode, done.stderr) == (0, "")
    except (FileNotFoundError, subprocess.CalledProcessError):
        pytest.skip("a small disk cannot be mounted here: that takes root")
    assert statuses(project) == {"FINISHED"}
