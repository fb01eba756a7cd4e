"""A coordinator and hospitals as processes of their own, each with a folder of its own."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import IO, Any

import yaml

from tasks.exchange import keys
from tasks.exchange.roster import Member, Roster, write_roster
from tasks.hospital_files import load_hospital
from tests.conftest import ROOT
from tests.wardround.command import SCRIPT

END_SECONDS = 20


@dataclass
class Federation:
    """project: the coordinator's. sites: hospital → its folder. logs: of all processes."""

    project: Path
    sites: Mapping[str, Path]
    logs: Path
    url: str
    joined: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def join(self, hospital: str) -> None:
        """Start the hospital's worker."""
        command = ("site", "join", "--folder", str(self.sites[hospital]))
        self.joined[hospital] = self._start(command, self.sites[hospital], hospital)

    def kill(self, hospital: str) -> None:
        """End the hospital's worker and its sessions without a word."""
        os.killpg(self.joined.pop(hospital).pid, signal.SIGKILL)

    def begin(self, *overrides: str, name: str = "coordinator") -> subprocess.Popen[bytes]:
        """Start the coordinator's training."""
        given = [part for one in overrides for part in ("--set", one)]
        return self._start(("train", *given), self.project, name)

    def log(self, name: str) -> str:
        """What a process has written."""
        return (self.logs / f"{name}.log").read_text()

    def end(self) -> None:
        """End all that has joined."""
        for process in self.joined.values():
            os.killpg(process.pid, signal.SIGINT)
        for process in self.joined.values():
            try:
                process.wait(timeout=END_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def _start(self, command: Sequence[str], where: Path, name: str) -> subprocess.Popen[bytes]:
        with (self.logs / f"{name}.log").open("ab") as log:
            return _process(command, where, log, self.url)


def _process(
    command: Sequence[str], where: Path, log: IO[bytes], url: str
) -> subprocess.Popen[bytes]:
    own = {"PREFECT_API_URL": url, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    quiet = {"PREFECT_HOME": str(where / ".prefect"), "PREFECT_LOGGING_LEVEL": "WARNING"}
    return subprocess.Popen(
        [SCRIPT, *command],
        cwd=where,
        env={**os.environ, **own, **quiet},
        stdout=log,
        stderr=log,
        start_new_session=True,
    )


@contextmanager
def federation(
    folder: Path, project: Path, url: str, hospitals: Path, **settings: Any
) -> Iterator[Federation]:
    """hospitals: folders of their partitions, which move to sites of their own."""
    coordinator = keys.create(project / "keys" / "coordinator")
    exchange, logs = folder / "exchange", folder / "logs"
    logs.mkdir()
    sites, members = {}, {}
    for partition in sorted(p for p in hospitals.iterdir() if p.is_dir()):
        name = partition.name
        site = folder / "sites" / name
        shutil.copytree(partition, site / "data" / name)
        private = keys.create(site / "keys" / name)
        values = {
            "name": name,
            "data": f"data/{name}",
            "coordinator": coordinator.public.text,
            "exchange": str(exchange),
            "key": f"keys/{name}",
        }
        (site / "site.yaml").write_text(yaml.safe_dump(values))
        rows = int(load_hospital(partition).train.sum())
        members[name] = Member(key=private.public, max_examples=rows, added=date(2026, 1, 1))
        sites[name] = site
    write_roster(project / "roster.yaml", Roster(hospitals=members))
    params = yaml.safe_load((project / "params.yaml").read_text())
    params["federation"] |= {"mode": "deployment", "exchange": str(exchange), **settings}
    (project / "params.yaml").write_text(yaml.safe_dump(params))
    found = Federation(project, sites, logs, url)
    try:
        yield found
    finally:
        found.end()
