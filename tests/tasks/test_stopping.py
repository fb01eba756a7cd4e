"""A command that a signal ends: what is left, what is said, and how the same command goes on."""

import os
import signal
import time
from pathlib import Path

import psutil
import pytest
from mlflow import MlflowClient

from tests.conftest import Project, small_project
from tests.tasks.test_server import PATIENCE, server_of, trains
from tests.wardround.command import wardround
from tests.wardround.process import Running, family, running

pytestmark = pytest.mark.slow
COMMAND = ("train", "--no-report", "--set", "run.rounds=100", "--set", "run.baselines=[]")
MODEL = "reports/model.safetensors"


def statuses(project: Path) -> set[str]:
    """Of all runs in the project's MLflow."""
    client = MlflowClient(f"sqlite:///{project / 'mlruns' / 'mlflow.db'}")
    experiments = [e.experiment_id for e in client.search_experiments()]
    return {run.info.status for run in client.search_runs(experiments)}


def ends(command: Running, number: int, *, group: bool = False) -> int:
    """Send the signal, to the whole group as a terminal does if asked; the exit code, once the
    command and all that it started have ended."""
    everyone = family(command.process.pid)
    send = os.killpg if group else os.kill
    send(command.process.pid, number)
    code = command.process.wait(timeout=PATIENCE)
    _, alive = psutil.wait_procs(everyone[1:], timeout=PATIENCE)
    assert not alive, [one.cmdline() for one in alive]
    return code


def home(project: Path) -> dict[str, str]:
    return {"PREFECT_HOME": str(project / ".prefect")}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, migrated_database: Path) -> bytes:
    """The model of the same command that nobody ends."""
    project = small_project(tmp_path_factory.mktemp("undisturbed"), migrated_database)
    done = wardround(project, *COMMAND, **home(project))
    assert done.returncode == 0, done.stderr
    return (project / MODEL).read_bytes()


@pytest.mark.parametrize(
    ("number", "code", "group"), [(signal.SIGTERM, 143, True), (signal.SIGINT, 130, False)]
)
def test_a_signal_marks_the_run_says_what_is_kept_and_the_same_command_goes_on(
    make_project: Project, undisturbed: bytes, number: int, code: int, group: bool
) -> None:
    project = make_project()
    with running(project, *COMMAND, **home(project)) as command:
        command.wait_until(lambda: trains(project), PATIENCE)
        assert ends(command, number, group=group) == code
        said = command.log.read_text()
    assert "Traceback" not in said
    assert "of 100 is kept; the same command goes on from there" in said
    assert f"wardround: ended by {signal.Signals(number).name}" in said
    assert statuses(project) == {"KILLED"}

    done = wardround(project, *COMMAND, **home(project))
    assert (done.returncode, done.stderr) == (0, "")
    assert (project / MODEL).read_bytes() == undisturbed
    assert statuses(project) == {"FINISHED"}


def test_a_signal_before_the_first_round_leaves_nothing_half_made(
    make_project: Project, undisturbed: bytes
) -> None:
    """In the very first start, when the databases are being made."""
    project = make_project()
    (project / "mlruns" / "mlflow.db").unlink()
    for seconds in (0.0, 2.5):
        with running(project, *COMMAND, **home(project)) as command:
            server_of(command)
            time.sleep(seconds)
            assert ends(command, signal.SIGTERM) == 143
            assert "Traceback" not in command.log.read_text()
    done = wardround(project, *COMMAND, **home(project))
    assert (done.returncode, done.stderr) == (0, "")
    assert (project / MODEL).read_bytes() == undisturbed


def test_a_second_signal_ends_the_command_at_once(make_project: Project) -> None:
    project = make_project()
    with running(project, *COMMAND, **home(project)) as command:
        command.wait_until(lambda: trains(project), PATIENCE)
        everyone = family(command.process.pid)
        command.process.send_signal(signal.SIGINT)
        command.process.send_signal(signal.SIGINT)
        assert command.process.wait(timeout=PATIENCE) in (130, -signal.SIGINT)
        _, alive = psutil.wait_procs(everyone[1:], timeout=PATIENCE)
        assert not alive
