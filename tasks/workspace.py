"""Where things lie: the data that DVC versions, and data made for one run.

`data/prepared` and `data/hospitals` belong to the project's own params.yaml, and to DVC where its
pipeline makes them. A run whose data section differs (another data set, another partition) gets
folders of its own under `data/derived/<digest>`, so that trying something never disturbs what is
versioned. Whatever is not made from what is there now is made again.
"""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
from filelock import FileLock

from federated.config import Config, DataConfig, load
from federated.errors import ConfigError, DataError
from federated.weights import digest_json
from tasks import pipeline, preparation
from tasks.freshness import NOTHING, stale, wanted
from tasks.lasting import lasting
from tasks.made_from import FITTED_ON_LOADING, code_digest, of_prepare

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Workspace:
    """prepared: canonical tables; hospitals: one folder each; journals: run journals."""

    project: Path
    prepared: Path
    hospitals: Path
    journals: Path

    @property
    def own(self) -> bool:
        """Are these the data of the project's own params.yaml?"""
        return self.prepared.parent == self.project / "data"

    @property
    def label(self) -> str:
        """The hospitals' folder as a person calls it."""
        return self.hospitals.relative_to(self.project).as_posix()


def workspace(project: Path, config: Config) -> Workspace:
    """The folders of this configuration's data."""
    root = project / "data"
    if not _is_projects_own(project, config.data):
        root = root / "derived" / _digest(project, config.data)
    return Workspace(
        project=project,
        prepared=root / "prepared",
        hospitals=root / "hospitals",
        journals=lasting(project) / "mlruns" / "journals",
    )


def ensure_data(place: Workspace, config: Config, tell: Tell = lambda _: None) -> list[str]:
    """Make what is not there, or was made from something else; the hospitals' names, in order.

    tell: hears why, in one line, where there was something. Raises DataError or ConfigError; also
    where DVC's pipeline has to make it and is running this very command.
    """
    data = config.data
    why = staleness(place, data)
    if why:
        with _only_one(place):
            why = staleness(place, data)  # another command may have made it meanwhile
            if why:
                _make(place, data, why, tell)
    return wanted(data, place.prepared, place.hospitals)


def staleness(place: Workspace, data: DataConfig) -> str:
    """Why the data are not what the configuration gives now, in words; empty if they are."""
    return stale(data, place.project, place.prepared, place.hospitals)


def _make(place: Workspace, data: DataConfig, why: str, tell: Tell) -> None:
    _clear(place.hospitals.parent if place.own else place.hospitals.parent.parent)
    if place.own and pipeline.is_versioned(place.project):
        _reproduce(place, data, why, tell)
        return
    if why != NOTHING:
        tell(f"{place.label}: {why}; made again")
    _make_in_place(place, data) if place.own else _make_derived(place, data)


def _reproduce(place: Workspace, data: DataConfig, why: str, tell: Tell) -> None:
    """Let DVC's pipeline do it, so that dvc.lock agrees with what lies there."""
    if pipeline.is_running():
        raise DataError(
            f"{place.label}: {why}, and DVC is running this command, so it cannot be called "
            f"again: run `{pipeline.REPRO}` first (`{pipeline.FORCED}` where that sees no change)"
        )
    tell(f"{place.label}: {why}; made by `{pipeline.REPRO}`")
    pipeline.reproduce(place.project)
    left = staleness(place, data)
    if left:
        absent = pipeline.unlisted(place.project, data)
        advice = f"; {pipeline.advice(absent)}" if absent else ""
        raise DataError(
            f"{place.label}: {left}, and `{pipeline.REPRO}` sees no change: `{pipeline.FORCED}` "
            f"makes it{advice}"
        )


def _make_in_place(place: Workspace, data: DataConfig) -> None:
    """Hospitals that a partition makes up appear all at once."""
    preparation.prepare(data, place.project, place.prepared)
    whole = place.hospitals.with_name(f"hospitals.{os.getpid()}.partial")
    try:
        preparation.partition(data, place.prepared, whole)
        shutil.rmtree(place.hospitals, ignore_errors=True)
        whole.replace(place.hospitals)
    finally:
        shutil.rmtree(whole, ignore_errors=True)


def _make_derived(place: Workspace, data: DataConfig) -> None:
    """Both steps appear all at once."""
    root = place.hospitals.parent
    partial = root.with_name(f"{root.name}.{os.getpid()}.partial")
    try:
        preparation.prepare(data, place.project, partial / "prepared")
        preparation.partition(data, partial / "prepared", partial / "hospitals")
        shutil.rmtree(root, ignore_errors=True)  # `wardround prepare` may have made half of it
        partial.replace(root)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _only_one(place: Workspace) -> FileLock:
    """A lock that one command holds while it makes these data."""
    root = place.hospitals.parent
    folder = root if place.own else root.parent
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / f".{root.name}.lock")


def _clear(folder: Path) -> None:
    """Remove what killed commands left half made; another command's that is at work stays."""
    for left in folder.glob("*.partial"):
        owner = left.name.split(".")[-2]
        if owner.isdigit() and not psutil.pid_exists(int(owner)):
            shutil.rmtree(left, ignore_errors=True)


def _is_projects_own(project: Path, data: DataConfig) -> bool:
    """Does the project's params.yaml ask for the same records? Where DVC has a pipeline, its
    folders are for data that the pipeline makes."""
    try:
        same = _identity(load(project / "params.yaml").data) == _identity(data)
    except ConfigError:
        return False
    return same and (pipeline.versions(data) or not pipeline.is_versioned(project))


def _digest(project: Path, data: DataConfig) -> str:
    """Of settings, source files and code."""
    code = [code_digest("prepare"), code_digest("partition")]
    return digest_json([_identity(data), of_prepare(data, project).files, code])[:12]


def _identity(data: DataConfig) -> dict[str, object]:
    """The settings that records are a function of."""
    return data.model_dump(mode="json", exclude=set(FITTED_ON_LOADING))
