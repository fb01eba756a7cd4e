"""Where things lie: the data that DVC versions, and data made for one run.

`data/prepared` and `data/hospitals` belong to the project's own params.yaml and to DVC. A run
whose data section differs (another data set, another partition) gets folders of its own under
`data/derived/<digest>`, so that trying something never disturbs what is versioned.
"""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import psutil

from federated.config import Config, DataConfig, load
from federated.errors import ConfigError
from federated.weights import digest_json
from tasks import preparation
from tasks.versions import md5


@dataclass(frozen=True)
class Workspace:
    """prepared: canonical tables; hospitals: one folder each; journals: run journals."""

    project: Path
    prepared: Path
    hospitals: Path
    journals: Path


def workspace(project: Path, config: Config) -> Workspace:
    """The folders of this configuration's data."""
    root = project / "data"
    if not _is_projects_own(project, config.data):
        root = (
            root
            / "derived"
            / digest_json([_identity(config.data), _raw_files(project, config.data)])[:12]
        )
    return Workspace(
        project=project,
        prepared=root / "prepared",
        hospitals=root / "hospitals",
        journals=project / "mlruns" / "journals",
    )


def ensure_data(place: Workspace, config: Config) -> None:
    """Prepare and partition what is not there yet; derived folders appear whole or not at all."""
    wanted = config.data.hospitals if place.prepared.parent == place.project / "data" else ()
    if place.hospitals.is_dir() and all((place.hospitals / name).is_dir() for name in wanted):
        return
    root = place.hospitals.parent
    _clear(root if root == place.project / "data" else root.parent)
    if root == place.project / "data":
        preparation.prepare(config.data, place.project, place.prepared)
        if wanted:  # each is looked for by name; without names only the whole can be told apart
            preparation.partition(config.data, place.prepared, place.hospitals)
            return
        whole = root / f"hospitals.{os.getpid()}.partial"
        try:
            preparation.partition(config.data, place.prepared, whole)
            whole.replace(place.hospitals)
        finally:
            shutil.rmtree(whole, ignore_errors=True)
        return
    partial = root.with_name(f"{root.name}.{os.getpid()}.partial")
    try:
        preparation.prepare(config.data, place.project, partial / "prepared")
        preparation.partition(config.data, partial / "prepared", partial / "hospitals")
        shutil.rmtree(root, ignore_errors=True)  # `wardround prepare` may have made half of it
        partial.replace(root)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _clear(folder: Path) -> None:
    """Remove what killed commands left half made; another command's that is at work stays."""
    for left in folder.glob("*.partial"):
        owner = left.name.split(".")[-2]
        if owner.isdigit() and not psutil.pid_exists(int(owner)):
            shutil.rmtree(left, ignore_errors=True)


def _is_projects_own(project: Path, data: DataConfig) -> bool:
    """Does the project's params.yaml ask for the same records?"""
    try:
        return _identity(load(project / "params.yaml").data) == _identity(data)
    except ConfigError:
        return False


def _identity(data: DataConfig) -> dict[str, object]:
    """The settings that records are a function of; scaling is fitted when they are loaded."""
    return data.model_dump(mode="json", exclude={"scaling", "missing_indicators"})


def _raw_files(project: Path, data: DataConfig) -> dict[str, str | None]:
    """md5 of each raw file; None for one that is missing, which its reader will name."""
    paths = {name: project / name for name in data.reader.files}
    return {name: md5(path) if path.is_file() else None for name, path in paths.items()}
