"""What a person checks when something does not work, done by a command."""

import os
import sqlite3
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from packaging.requirements import Requirement

from federated.config import Config, load
from federated.errors import WardroundError
from tasks import production as checked
from tasks.environment import QUIET
from tasks.freshness import NOTHING
from tasks.lineage import tracking_uri
from tasks.pipeline import advice, is_versioned, unlisted
from tasks.ports import port_is_free
from tasks.relocation import COMMAND, former
from tasks.versions import locked, verified
from tasks.workspace import staleness, workspace


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; advice says what to do where it is not ok.

    note: worth knowing, but no fault.
    """

    ok: bool
    what: str
    advice: str = ""
    note: bool = False


def examine(project: Path, params: Path) -> list[Finding]:
    """Versions, settings, configuration, data, ports and folders; nothing is made or changed."""
    return [
        _python(),
        *_packages(),
        *_settings(),
        *_configured(project, params),
        *_moved(project),
        *(_port(port, what) for port, what in ((4200, "Prefect"), (5000, "MLflow"))),
        *(_writable(project / name) for name in ("data", "mlruns", "reports", ".prefect")),
        _sqlite(),
    ]


def leading(findings: Iterable[Finding]) -> list[Finding]:
    """First what is wrong, then what is worth knowing."""
    return sorted(findings, key=lambda one: (one.ok, one.note))


def production(project: Path, params: Path) -> list[Finding]:
    """What must stand where servers are not on this machine, and of servers started here."""
    config = load(params)
    uri = tracking_uri(config.run.tracking_uri, project)
    checks = [
        *checked.prefect_server(
            os.environ.get("PREFECT_API_URL", ""), os.environ.get("PREFECT_API_AUTH_STRING")
        ),
        *checked.mlflow_server(uri, os.environ),
        *checked.own_servers(os.environ),
        *checked.folders(project),
    ]
    return [Finding(one.ok, one.what, one.advice) for one in checks]


def _python() -> Finding:
    what = f"Python {sys.version.split()[0]}"
    return Finding(sys.version_info >= (3, 11), what, "Wardround needs Python 3.11 or newer")


def _packages() -> list[Finding]:
    """Each requirement of this installation against what is installed."""
    found = []
    for text in requires("wardround") or []:
        wanted = Requirement(text)
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
            continue
        try:
            have = version(wanted.name)
        except PackageNotFoundError:
            have = "missing"
        ok = have != "missing" and wanted.specifier.contains(have, prereleases=True)
        advice = f"pip install -c constraints.txt '{wanted.name}{wanted.specifier}'"
        found.append(Finding(ok, f"{wanted.name} {have}", advice))
    return found


def _settings() -> list[Finding]:
    return [
        Finding(os.environ.get(name) == value, f"{name}={os.environ.get(name)}", f"unset {name}")
        for name, value in QUIET.items()
    ]


def _configured(project: Path, params: Path) -> list[Finding]:
    """The settings, and the data that they ask for."""
    try:
        config = load(params)
    except WardroundError as error:
        return [Finding(False, f"{params} is not valid", str(error)), *_locked(project)]
    return [Finding(True, f"{params} is valid"), *_data(project, config)]


def _data(project: Path, config: Config) -> list[Finding]:
    """Are they there, made from what is there now, and as DVC knows them?"""
    try:
        place = workspace(project, config)
        why = staleness(place, config.data)
        absent = unlisted(project, config.data) if place.own and is_versioned(project) else []
    except WardroundError as error:
        return [Finding(False, "the data cannot be looked at", str(error))]
    command = "make train" if (project / "Makefile").is_file() else "wardround train"
    if why == NOTHING:
        return [Finding(False, why, command, note=True)]
    stale = f"{place.label} is stale: {why}" if why else f"{place.label} is made from what is there"
    return [
        Finding(not why, stale, f"`{command}` makes it again", note=bool(why)),
        *(Finding(False, f"dvc.yaml does not name {name}", advice([name])) for name in absent),
        *_locked(project),
    ]


def _moved(project: Path) -> list[Finding]:
    """Does MLflow's own database name files where the project was?"""
    return [
        Finding(False, f"MLflow's database names files in {place}", f"{COMMAND}: they are here now")
        for place in former(project)
    ]


def _locked(project: Path) -> list[Finding]:
    """Every data file that dvc.lock names, hashed."""
    found = []
    try:
        lock = locked(project)
    except WardroundError as error:
        return [Finding(False, "dvc.lock", str(error))]
    for name in sorted(n for n in lock if n.startswith("data/hospitals/")):
        path = project / name
        if not path.exists():
            found.append(Finding(False, f"{name} is missing", "dvc repro"))
            continue
        try:
            md5 = verified(path, project, lock)
        except WardroundError as error:
            found.append(Finding(False, f"{name} differs from dvc.lock", str(error)))
        else:
            found.append(Finding(True, f"{name} md5 {md5}"))
    return found


def _port(port: int, what: str) -> Finding:
    free = port_is_free(port)
    text = f"port {port} ({what}) is {'free' if free else 'in use'}"
    return Finding(
        free, text, "fine if that is your own server; else choose another port", note=True
    )


def _writable(folder: Path) -> Finding:
    """Looked at without making it: the nearest folder that is there says."""
    there = next(place for place in (folder, *folder.resolve().parents) if place.exists())
    ok = there.is_dir() and os.access(there, os.W_OK | os.X_OK)
    what = f"{folder} {'can' if ok else 'cannot'} be written"
    return Finding(ok, what, f"check the owner and the permissions of {there}")


def _sqlite() -> Finding:
    ok = sqlite3.sqlite_version_info >= (3, 37)
    advice = "the run journal's STRICT tables need SQLite 3.37 or newer: use a newer Python build"
    return Finding(ok, f"SQLite {sqlite3.sqlite_version}", advice)
