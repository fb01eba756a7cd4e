"""The temporary Prefect server of a command ends with it, however it ends, and no other does."""

import signal
from pathlib import Path

import psutil
import pytest

from tests.conftest import Project
from tests.wardround.command import wardround
from tests.wardround.process import Running, family, running

LONG = ("train", "--set", "run.rounds=2000")
SHORT = ("train", "--out", "reports/short", "--set", "run.baselines=[]")
PATIENCE = 120  # seconds, on a busy machine


def server_of(command: Running) -> psutil.Process:
    """The server of a command, once it has one."""

    def servers() -> list[psutil.Process]:
        started = family(command.process.pid)
        return [one for one in started if "temporary_server_process" in str(one.cmdline())]

    command.wait_until(lambda: bool(servers()), PATIENCE)
    return servers()[0]


def trains(project: Path) -> bool:
    """Is there a round in some journal?"""
    return any(project.glob("mlruns/journals/*/weights/*.safetensors"))


@pytest.mark.slow
@pytest.mark.parametrize("early", [True, False])
def test_the_server_of_a_killed_command_ends_and_no_other(
    make_project: Project, early: bool
) -> None:
    """Whether it answers already or makes its tables still."""
    project = make_project()
    home = {"PREFECT_HOME": str(project / ".prefect")}
    with running(project, *LONG, **home) as killed:
        orphan = server_of(killed)
        if not early:
            killed.wait_until(lambda: trains(project), PATIENCE)
        killed.process.send_signal(signal.SIGKILL)
        killed.process.wait(timeout=PATIENCE)
        _, alive = psutil.wait_procs([orphan], timeout=PATIENCE)
        assert not alive
    with running(project, *LONG, "--set", "run.seed=2", **home) as other:
        at_work = server_of(other)
        done = wardround(project, *SHORT, **home)
        assert (done.returncode, done.stderr) == (0, "")
        assert at_work.is_running()
