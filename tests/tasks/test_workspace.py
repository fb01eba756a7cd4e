"""Data that are made on the way to training: whole or not at all."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from federated.config import load
from federated.errors import DataError
from tasks.workspace import ensure_data, workspace
from tests.conftest import Project

OUTPUT: dict[str, Any] = {"capture_output": True, "text": True, "check": True}


@pytest.mark.parametrize("own", [True, False])
def test_hospitals_that_were_cut_off_half_way_are_all_made_again(
    make_project: Project, monkeypatch: pytest.MonkeyPatch, own: bool
) -> None:
    """The disk fails at every single rename in turn; afterwards all three hospitals are there."""
    project = make_project()
    config = load(project / "params.yaml", [] if own else ["data.seed=1"])
    place = workspace(project, config)
    real, left = Path.replace, 0

    def fail(path: Path, target: Path) -> Path:
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError("disk full")
        return real(path, target)

    for number in (3, 9, 13, 16):
        left = number
        with monkeypatch.context() as patched:
            patched.setattr(Path, "replace", fail)
            with pytest.raises((OSError, DataError), match=r"disk full|cannot be written"):
                ensure_data(place, config)
        assert not place.hospitals.exists()
    ensure_data(place, config)
    assert len([p for p in place.hospitals.iterdir() if p.is_dir()]) == 3


@pytest.mark.parametrize("own", [True, False])
def test_what_a_killed_command_left_is_removed_and_a_living_ones_is_not(
    make_project: Project, own: bool
) -> None:
    project = make_project()
    config = load(project / "params.yaml", [] if own else ["data.seed=1"])
    place = workspace(project, config)
    name, folder = "hospitals" if own else "0123", place.hospitals.parent
    folder = folder if own else folder.parent
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], **OUTPUT)
    left, living = (folder / f"{name}.{pid}.partial" for pid in (int(ended.stdout), os.getppid()))
    left.mkdir(parents=True)
    living.mkdir()
    ensure_data(place, config)
    assert (left.exists(), living.exists()) == (False, True)
