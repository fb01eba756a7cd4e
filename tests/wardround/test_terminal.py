"""Terminals of other encodings, pipes that are closed early, and folders without a project."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.conftest import Project
from tests.wardround.command import SCRIPT, environment, wardround

ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}
COMMANDS = (
    *("train", "prepare", "partition", "report", "study s.yaml", "compare a b", "serve", "ui"),
    *("doctor", "doctor --production", "resume 1"),
)


def cologne(project: Path) -> Path:
    """Two hospitals in a file, one whose name no ASCII terminal has."""
    names = ["köln", "ulm"]
    rows = [f"{names[i % 2]},{20 + i * 7 % 60},{'no' if i % 3 else 'yes'}" for i in range(120)]
    (project / "mine.csv").write_text("\n".join(["klinik,alter,krank", *rows, ""]), "utf-8")
    return project


@pytest.mark.slow
@pytest.mark.parametrize("closed", [False, True])
def test_a_terminal_that_takes_little_does_not_end_a_run(
    make_project: Project, closed: bool
) -> None:
    """ASCII alone; and nothing at all, from the first word on."""
    project = cologne(make_project())
    values = "{path: mine.csv, target: krank, hospital: klinik, positive: 'yes'}"
    command = ("train", "--set", "data.dataset=table", "--set", f"data.source={values}")
    command += ("--set", "run.baselines=[]")
    if closed:
        reading, writing = os.pipe()
        os.close(reading)
        given = environment(**ASCII)
        done = subprocess.run(
            [SCRIPT, *command], cwd=project, env=given, stdout=writing, stderr=writing, check=False
        )
        os.close(writing)
        assert done.returncode == 0
    else:
        told = wardround(project, *command, **ASCII)
        assert told.returncode == 0, told.stderr
        assert told.stdout.isascii()
        assert "k\\xf6ln" in told.stdout
        assert "Traceback" not in told.stderr
    assert "köln" in (project / "reports" / "metrics.json").read_text("utf-8")


@pytest.mark.parametrize(
    "given", [{"LC_ALL": "C"}, ASCII, {"LANG": "POSIX", "PYTHONUTF8": "0"}, {"LC_ALL": "xx_YY"}]
)
def test_every_locale_can_show_a_table(tmp_path: Path, given: dict[str, str]) -> None:
    done = wardround(tmp_path, "algorithms", **given)
    assert (done.returncode, done.stderr) == (0, "")
    assert "fedavg" in done.stdout


def test_a_reader_may_leave(tmp_path: Path) -> None:
    """`wardround algorithms | head -1`."""
    with subprocess.Popen(
        [SCRIPT, "algorithms"],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 0


@pytest.mark.parametrize("command", COMMANDS)
def test_a_folder_without_a_project_is_told_so_and_stays_empty(
    tmp_path: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PREFECT_HOME", "PREFECT_API_URL"):
        monkeypatch.delenv(name, raising=False)
    done = wardround(tmp_path, *command.split())
    assert done.returncode == 1
    assert done.stderr.startswith(f"wardround: no params.yaml here ({tmp_path}): ")
    assert list(tmp_path.iterdir()) == []
