"""Files against dvc.lock: what was changed or damaged is refused by name, with what to do."""

import hashlib
import subprocess
from pathlib import Path

import pytest

from federated.errors import CorruptDataError, DataError
from tasks.versions import git_commit, locked, md5, verified
from tests.conftest import ROOT

NAME = "data/hospitals/va/records.safetensors"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with one file of three bytes, and the lock that DVC writes of it."""
    (tmp_path / NAME).parent.mkdir(parents=True)
    (tmp_path / NAME).write_bytes(b"abc")
    (tmp_path / "dvc.lock").write_text(
        "schema: '2.0'\nstages:\n  partition@va:\n    cmd: x\n    outs:\n"
        f"    - {{path: {NAME}, hash: md5, md5: {hashlib.md5(b'abc').hexdigest()}, size: 3}}\n"
    )
    return tmp_path


def test_an_unchanged_file_is_accepted(project: Path) -> None:
    assert md5(project / NAME) == "900150983cd24fb0d6963f7d28e17f72"  # RFC 1321, A.5
    assert verified(project / NAME, project, locked(project)) == md5(project / NAME)


def test_one_flipped_bit_is_refused_with_both_hashes(project: Path) -> None:
    (project / NAME).write_bytes(b"abb")
    with pytest.raises(CorruptDataError) as refused:
        verified(project / NAME, project, locked(project))
    message = str(refused.value)
    assert NAME in message
    assert hashlib.md5(b"abb").hexdigest() in message
    assert "dvc.lock says 900150983cd24fb0d6963f7d28e17f72" in message
    assert "`dvc repro` makes it anew" in message


def test_a_file_that_the_lock_does_not_name_is_only_hashed(project: Path) -> None:
    (project / "other").write_bytes(b"abb")
    assert verified(project / "other", project, locked(project)) == md5(project / "other")
    assert verified(ROOT / "dvc.lock", project, locked(project)) == md5(ROOT / "dvc.lock")


def test_no_lock_names_nothing_and_a_damaged_one_is_refused(project: Path) -> None:
    (project / "dvc.lock").write_text("stages: [not, a, mapping]\n")
    with pytest.raises(DataError, match=r"dvc\.lock: not a lock file of DVC"):
        locked(project)
    (project / "dvc.lock").unlink()
    assert locked(project) == {}


def test_this_repositorys_lock_names_every_hospital() -> None:
    names = locked(ROOT)
    for hospital in ("cleveland", "hungary", "switzerland", "va"):
        assert f"data/hospitals/{hospital}/records.safetensors" in names


def test_the_commit_tells_of_changed_files(tmp_path: Path) -> None:
    assert git_commit(tmp_path) is None
    own = ("-c", "user.name=a", "-c", "user.email=a@b")
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    (tmp_path / "file").write_text("1")
    subprocess.run(["git", "-C", tmp_path, "add", "file"], check=True)
    subprocess.run(["git", "-C", tmp_path, *own, "commit", "-qm", "one"], check=True)
    head = git_commit(tmp_path)
    assert head is not None
    assert len(head) == 40
    (tmp_path / "file").write_text("2")
    assert git_commit(tmp_path) == f"{head}+changes"
