"""What DVC and git know about the files: the only module that reads dvc.lock.

DVC can check out a corrupted cache object and exit with 0, so whatever is loaded is hashed here
and held against the lock.
"""

import hashlib
import subprocess
from collections.abc import Sequence
from pathlib import Path

import yaml

from federated.errors import CorruptDataError, DataError


def locked(project: Path) -> dict[str, str]:
    """Path (relative to the project) → md5 of every file that dvc.lock names as an output."""
    path = project / "dvc.lock"
    if not path.exists():
        return {}
    try:
        stages = yaml.safe_load(path.read_text())["stages"]
        outs = [out for stage in stages.values() for out in stage.get("outs", [])]
        return {out["path"]: out["md5"] for out in outs}
    except (yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: not a lock file of DVC ({error}); restore it from git") from error


def md5(path: Path) -> str:
    """MD5 of a file: DVC's name for its content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def verified(path: Path, project: Path, lock: dict[str, str]) -> str:
    """The file's md5. Raises CorruptDataError if dvc.lock names another one for it."""
    found = md5(path)
    inside = path.resolve().is_relative_to(project.resolve())
    name = path.resolve().relative_to(project.resolve()).as_posix() if inside else ""
    if lock.get(name, found) != found:
        raise CorruptDataError(
            f"{name}: its md5 is {found}, dvc.lock says {lock[name]}: the file was changed or "
            "damaged. `dvc repro` makes it anew from data/raw; if the change is meant, `dvc "
            f"commit {name}` accepts it"
        )
    return found


def git_commit(project: Path) -> str | None:
    """The checked-out commit, with '+changes' if tracked files differ; None outside git."""
    try:
        head = _git(project, "rev-parse", "HEAD")
        changed = _git(project, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return None
    return head + ("+changes" if changed else "")


def uncommitted(files: Sequence[str], root: Path) -> list[str]:
    """Which of these files no commit of `root` has as they are: changed, or not tracked at all.

    Empty where git does not keep the code in `root`, as after an installation from a package.
    """
    inside = [file for file in files if Path(file).is_relative_to(root)]
    try:
        if not _git(root, "ls-files", "federated/__init__.py"):
            return []
        asked = ("status", "--porcelain", "--untracked-files=all", "--ignored", "--", *inside)
        changed = [line.split(maxsplit=1)[1] for line in _git(root, *asked).splitlines()]
    except (OSError, subprocess.CalledProcessError):
        return []
    return [*changed, *(file for file in files if file not in inside)]


def _git(project: Path, *arguments: str) -> str:
    command = ["git", "-C", str(project), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
