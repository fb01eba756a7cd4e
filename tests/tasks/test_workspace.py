"""Data that are made on the way to training: whole or not at all."""

from pathlib import Path

import pytest

from federated.config import load
from federated.errors import DataError
from tasks.workspace import ensure_data, workspace
from tests.conftest import Project


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
