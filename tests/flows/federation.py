"""A coordinator and hospitals as processes of their own, each with a folder of its own."""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from federated.config import load
from federated.federation import advance, begin, learning, order, select
from federated.initial import weights_of
from federated.shares import combine, train_share
from federated.weights import to_bytes
from tasks.exchange import keys
from tasks.exchange.audit_check import LOG
from tasks.exchange.roster import Member, Roster, write_roster
from tasks.hospital_files import load_hospital
from tasks.job import load_job
from tests.conftest import ROOT, SMALL, merged
from tests.flows.patients import SCHEMA, TABLE, Patients, made_up, write
from tests.hosts import Host
from tests.wardround.command import SCRIPT

END_SECONDS, JOIN_SECONDS = 60, 120
ANY = {
    **dict.fromkeys(("models", "algorithms", "columns", "max_rounds", "hours")),
    "min_rows": 1,
    "approval": "not_required",
}


@dataclass
class Federation:
    """sites: hospital → its folder. common: the coordinator's keys and roster. logs: of all. hosts,
    own: where a hospital or the `coordinator` runs, if not here, and its environment."""

    sites: Mapping[str, Path]
    common: Path
    exchange: Path
    logs: Path
    url: str
    joined: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    trainings: list[subprocess.Popen[bytes]] = field(default_factory=list)
    hosts: dict[str, Host] = field(default_factory=dict)
    own: dict[str, dict[str, str]] = field(default_factory=dict)

    def join(self, *hospitals: str) -> None:
        """Start the hospitals' workers, and wait until they have joined."""
        before = {h: self.log(h).count("has joined") for h in hospitals}
        for hospital in hospitals:
            folder = self.sites[hospital]
            command = ("site", "join", "--folder", str(folder))
            self.joined[hospital] = self._start(hospital, command, folder, hospital)
        for hospital in hospitals:
            joined = partial(self._joined_again, hospital, before[hospital])
            until(joined, JOIN_SECONDS)

    def _joined_again(self, hospital: str, before: int) -> bool:
        assert self.joined[hospital].poll() is None, self.log(hospital)
        return self.log(hospital).count("has joined") > before

    def kill(self, hospital: str) -> None:
        """End the hospital's worker and its session without a word."""
        process = self.joined.pop(hospital)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def deployed(self, project: Path, **settings: Any) -> Path:
        """The project as the coordinator's."""
        shutil.copytree(self.common, project, dirs_exist_ok=True)
        params = yaml.safe_load((project / "params.yaml").read_text())
        own = {"mode": "deployment", "exchange": str(self.exchange), "join_s": JOIN_SECONDS}
        params["federation"] |= own | settings
        (project / "params.yaml").write_text(yaml.safe_dump(params))
        return project

    def begin(self, project: Path) -> subprocess.Popen[bytes]:
        """Start a coordinator's training."""
        self.trainings.append(self._start("coordinator", ("train",), project, project.name))
        return self.trainings[-1]

    def log(self, name: str) -> str:
        """What a process has written so far."""
        path = self.logs / f"{name}.log"
        return path.read_text() if path.exists() else ""

    def events(self, folder: Path) -> list[dict[str, Any]]:
        """Of the audit log in a project's or site's folder."""
        path = folder / "audit" / LOG
        lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
        return [json.loads(line) for line in lines]

    def happened(self, folder: Path, event: str, hospital: str, number: int) -> bool:
        """Is it in the audit log?"""
        wanted = event, hospital, number
        return any((e["event"], e["hospital"], e["round"]) == wanted for e in self.events(folder))

    def end(self) -> None:
        """End all that has joined, and trainings that a failing test left."""
        for process in self.trainings:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        for process in self.joined.values():
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGINT)
        for process in self.joined.values():
            try:
                process.wait(timeout=END_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def _start(
        self, who: str, command: Sequence[str], where: Path, name: str
    ) -> subprocess.Popen[bytes]:
        common = {"PREFECT_API_URL": self.url, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
        quiet = {"PREFECT_HOME": str(where / ".prefect"), "PREFECT_LOGGING_LEVEL": "WARNING"}
        whole, host = [str(SCRIPT), *command], self.hosts.get(who)
        with (self.logs / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                host.command(*whole) if host else whole,
                cwd=where,
                env={**os.environ, **common, **quiet, **self.own.get(who, {})},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )


def until(true: Callable[[], bool], seconds: float) -> None:
    """Wait for it, or fail."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.05)


@contextmanager
def federation(folder: Path, url: str, hospitals: Path) -> Iterator[Federation]:
    """hospitals: folders of their partitions, which are copied to sites of their own."""
    common, exchange, logs = folder / "coordinator", folder / "exchange", folder / "logs"
    coordinator = keys.create(common / "keys" / "coordinator")
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
            "audit": "audit",
            "policy": ANY,
        }
        (site / "site.yaml").write_text(yaml.safe_dump(values))
        rows = int(load_hospital(partition).train.sum())
        members[name] = Member(key=private.public, max_examples=rows, added=date(2026, 1, 1))
        sites[name] = site
    write_roster(common / "roster.yaml", Roster(hospitals=members))
    found = Federation(sites, common, exchange, logs, url)
    try:
        yield found
    finally:
        found.end()


SOURCE = {"path": TABLE, "target": "ill", "hospital": "site", "drop": ["note"], "schema": SCHEMA}
SETTINGS: dict[str, Any] = {
    "data": {"dataset": "table", "hospitals": ["north", "south", "west"], "source": SOURCE},
    "run": {"rounds": 6, "baselines": []},
}


class World(NamedTuple):
    """ours: a federation over made-up patients of three hospitals. make: a project by name and
    settings. patients: all of them."""

    ours: Federation
    make: Callable[..., Path]
    patients: Patients


@contextmanager
def table_world(folder: Path, database: Path, url: str) -> Iterator[World]:
    """database: of MLflow, migrated; url: of Prefect's API. No hospital has joined yet."""
    patients = made_up()

    def make(name: str, **sections: dict[str, Any]) -> Path:
        project = folder / name
        (project / "mlruns").mkdir(parents=True)
        shutil.copy(database, project / "mlruns" / "mlflow.db")
        values = yaml.safe_load((ROOT / "params.yaml").read_text())
        for changes in (SMALL, SETTINGS, sections):
            values = merged(values, changes)
        (project / "params.yaml").write_text(yaml.safe_dump(values))
        return project

    source = make("source")
    write(patients, source)
    load_job(load(source / "params.yaml"), source)
    with federation(folder, url, source / "data" / "hospitals") as ours:
        yield World(ours, make, patients)


def alone(world: World, name: str, absent: Mapping[int, set[str]], **settings: Any) -> bytes:
    """The final weights of the same rounds in one process. absent: round → who was missing."""
    project = world.make(f"{name}-alone", **settings)
    write(world.patients, project)
    job = load_job(load(project / "params.yaml"), project)
    rules, run = job.config.algorithm.rules, job.config.run
    now = begin(rules, weights_of(job.network))
    while now.round < run.rounds:
        asked, given = select(rules, job.local, now, run.seed), order(rules, now, run.rounds)
        cohort = [job.local[h] for h in asked if h not in absent.get(given.round, ())]
        share = train_share(rules, cohort, given, now.states)
        now = advance(
            rules, now, share.states, combine(rules, [share], now.weights, learning(job.local))
        )
    return to_bytes(now.weights)
