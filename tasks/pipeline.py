"""DVC's pipeline: does it make these data, is it running now, and a run of it.

`dvc repro partition` runs what changed and nothing else: one hospital's new extract makes that
hospital anew, and dvc.lock says so. It is a process of its own; nothing here imports DVC.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml
from pydantic import BaseModel, JsonValue

from federated.config import DataConfig
from federated.errors import ConfigError, DataError

REPRO = "dvc repro partition"
FORCED = "dvc repro --force partition"
_PREPARE, _PARTITION = "prepare", "partition"


class _Stage(BaseModel):
    """What of a stage in dvc.yaml is asked for here."""

    deps: list[str | dict[str, JsonValue]] = []
    wdir: str = "."


class _Pipeline(BaseModel):
    """dvc.yaml."""

    stages: dict[str, _Stage]


def is_versioned(project: Path) -> bool:
    """Is there a DVC pipeline with the stages that make data?"""
    return (project / ".dvc").is_dir() and {_PREPARE, _PARTITION} <= _stages(project).keys()


def versions(data: DataConfig) -> bool:
    """Are these data that a pipeline can make? Its stages are the hospitals that are listed."""
    return data.partition["name"] == "natural" and bool(data.hospitals)


def is_running() -> bool:
    """Is this command a stage that DVC runs at this moment? Then it must not be called again."""
    return "DVC_STAGE" in os.environ


def reproduce(project: Path) -> None:
    """Run DVC's stages up to `partition`. Raises DataError with what it said."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *REPRO.split()[1:]],
        cwd=project,
        env={**os.environ, "PATH": path},  # stages call `wardround`: this very installation's
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise DataError(f"`{REPRO}` in {project} failed:\n{_told(done.stderr)}")


def unlisted(project: Path, data: DataConfig) -> list[str]:
    """The files that the data are read from and dvc.yaml does not name: DVC would not see them
    change."""
    stage = _stages(project).get(_PREPARE, _Stage())
    named = [dep if isinstance(dep, str) else min(dep) for dep in stage.deps]
    if any("${" in dep for dep in named):  # a key of params.yaml, which only DVC resolves
        return []
    known = [(project / stage.wdir / dep).resolve() for dep in named]
    return [
        name
        for name in data.reader.files
        if not any((project / name).resolve().is_relative_to(path) for path in known)
    ]


def require_listed(project: Path, data: DataConfig) -> None:
    """Raise ConfigError where DVC runs `prepare` and would not see its files change."""
    absent = unlisted(project, data) if is_running() else []
    if absent:
        raise ConfigError(advice(absent))


def require_stages(data: DataConfig, made: Sequence[str]) -> None:
    """Raise ConfigError where DVC runs `prepare` and has a stage for a hospital that is left out.

    made: hospitals that `prepare` wrote.
    """
    idle = [name for name in data.hospitals if name not in made] if is_running() else []
    if idle:
        raise ConfigError(
            f"data.hospitals lists {', '.join(idle)}, which take no part (data.leave_out, "
            "data.small_hospitals): DVC has a stage for each that is listed, so remove them there"
        )


def advice(absent: list[str]) -> str:
    """What to do about files that dvc.yaml does not name."""
    names = ", ".join(absent)
    return (
        f"dvc.yaml: stages.prepare.deps does not name {names}, so DVC would not see it change; "
        "list it there, in place of what is not read"
    )


def _stages(project: Path) -> dict[str, _Stage]:
    """The stages of dvc.yaml; none where there is no such file."""
    path = project / "dvc.yaml"
    if not path.is_file():
        return {}
    try:
        return _Pipeline.model_validate(yaml.safe_load(path.read_text(encoding="utf-8"))).stages
    except (yaml.YAMLError, ValueError) as error:
        raise DataError(f"{path}: not a pipeline of DVC ({error}); restore it from git") from error


def _told(text: str) -> str:
    """What the stage itself said is wrong, else the last that DVC said."""
    lines = [line for line in text.splitlines() if line.strip()]
    own = next((n for n, line in enumerate(lines) if line.startswith("wardround: ")), None)
    return "\n".join(lines[-5:] if own is None else lines[own:])
