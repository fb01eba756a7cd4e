"""The temporary Prefect server of a command: it ends with it, or with the next one."""

import json
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.conftest import Project
from tests.wardround.command import wardround
from tests.wardround.process import Running, running

LONG = ("train", "--set", "run.rounds=2000")
SHORT = ("train", "--out", "reports/short", "--set", "run.baselines=[]")


def notes(project: Path) -> dict[int, dict[str, Any]]:
    """Command's pid → its note."""
    found = (json.loads(p.read_text()) for p in project.glob(".prefect/temporary-server-*.json"))
    return {note["owner"]: note for note in found}


def server_of(command: Running, project: Path) -> psutil.Process:
    """The server of a command, once it has one."""
    command.wait_until(lambda: command.process.pid in notes(project), 120)
    return psutil.Process(notes(project)[command.process.pid]["pid"])


@pytest.mark.slow
def test_the_next_command_ends_the_server_of_a_killed_one_and_no_other(
    make_project: Project,
) -> None:
    project = make_project()
    home = {"PREFECT_HOME": str(project / ".prefect")}
    with running(project, *LONG, **home) as killed:
        orphan = server_of(killed, project)
        killed.process.send_signal(signal.SIGKILL)
        killed.process.wait(timeout=30)
        assert orphan.is_running()
    with running(project, *LONG, "--set", "run.seed=2", **home) as other:
        at_work = server_of(other, project)
        _, alive = psutil.wait_procs([orphan], timeout=10)
        assert not alive
        done = wardround(project, *SHORT, **home)
        assert (done.returncode, done.stderr) == (0, "")
        assert at_work.is_running()
        assert list(notes(project)) == [other.process.pid]
