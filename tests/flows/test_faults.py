"""A federation of real processes and servers under faults: the right model, and no hang."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from federated.config import load
from tasks.job import load_job
from tests.conftest import merged
from tests.flows.faults import DAY, FAULTS, Struck, clock, fill, small_disk
from tests.flows.federation import JOIN_SECONDS, World, alone, table_world, until
from tests.flows.killing import KILLED, lanes
from tests.flows.patients import write
from tests.servers import Server, mlflow_server, prefect_server

pytestmark = pytest.mark.slow
MODEL = "reports/model.safetensors"
DISK = "disk"
ROUNDS = 40
END = 300  # seconds


@pytest.fixture(scope="module")
def prefect(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, str]]:
    server, url = prefect_server(tmp_path_factory.mktemp("own-prefect"))
    with server:
        yield server, url


@pytest.fixture(scope="module")
def world(
    tmp_path_factory: pytest.TempPathFactory,
    migrated_database: Path,
    prefect: tuple[Server, str],
) -> Iterator[World]:
    """West's clock is a day slow, north's a day fast, and the exchange location has a megabyte,
    where that can be arranged."""
    folder = tmp_path_factory.mktemp("faults")
    with ExitStack() as ends:
        disk = folder / DISK
        with suppress(FileNotFoundError, subprocess.CalledProcessError):
            ends.enter_context(small_disk(disk))
            (disk / "exchange").mkdir()
        made = ends.enter_context(table_world(folder, migrated_database, prefect[1]))
        if disk.is_mount():
            made.ours.exchange.symlink_to(disk / "exchange")
        try:
            made.ours.own |= {"west": clock(folder, -DAY), "north": clock(folder, DAY)}
        except FileNotFoundError:
            made.ours.own.clear()  # without a C compiler all clocks are right
        made.ours.join(*made.ours.sites)
        yield made


def newest(world: World, project: Path) -> int:
    """The last round in which every hospital's update was taken."""
    taken = dict.fromkeys(world.ours.sites, 0)
    for event in world.ours.events(project):
        if event["event"] == "accepted":
            taken[event["hospital"]] = event["round"]
    return min(taken.values())


def test_servers_exchange_and_sites_fail_one_after_another_and_nothing_is_lost(
    world: World, prefect: tuple[Server, str], tmp_path: Path
) -> None:
    """The final bytes are those of a simulation with control variates, of which each hospital keeps
    its own; MLflow has every round once."""
    mlflow, url = mlflow_server(tmp_path / "mlflow")
    settings: dict[str, Any] = {"run": {"rounds": ROUNDS}, "algorithm": {"name": "scaffold"}}
    own = merged(settings, {"run": {"tracking_uri": url}})
    project = world.ours.deployed(world.make("faults", **own))
    struck = Struck(
        world.ours, prefect[0], mlflow, lambda: newest(world, project), lambda: copied(url)
    )
    with mlflow:
        run = world.ours.begin(project)
        until(lambda: newest(world, project) >= 2, END)
        for fault in FAULTS:
            before = newest(world, project)
            assert before < ROUNDS - 5, f"{fault.__name__}: nothing is left to go on with"
            with fault(struck):
                pass
            until(lambda last=before: newest(world, project) >= last + 2, END)
        assert run.wait(timeout=END) == 0, world.ours.log("faults")
        assert copied(url) == list(range(ROUNDS + 1))
    assert (project / MODEL).read_bytes() == alone(world, "faults", {}, **settings)
    events = world.ours.events(project)
    assert any(e["event"] == "rejoined" for e in events)
    assert any(asked_together(events, number) for number in range(1, ROUNDS))


def asked_together(events: list[dict[str, Any]], number: int) -> bool:
    """Were all hospitals asked before the first update came, however few cores are here?"""
    ours = [e for e in events if e["round"] == number]
    asked = [e["details"].get("to") == "order" or e["event"] for e in ours]
    return asked[:3] == [True] * 3


def copied(url: str) -> list[int]:
    """Rounds that MLflow has of the only run of all hospitals together."""
    client = MlflowClient(url)
    runs = client.search_runs([e.experiment_id for e in client.search_experiments()])
    together = [r.info.run_id for r in runs if "mlflow.parentRunId" not in r.data.tags]
    return [m.step for r in together for m in client.get_metric_history(r, "global/loss")]


def test_a_full_exchange_location_stops_the_rounds_until_there_is_room(world: World) -> None:
    disk = world.ours.exchange.with_name(DISK)
    if not disk.is_mount():
        pytest.skip("a small disk cannot be mounted here: that takes root")
    settings: dict[str, Any] = {"run": {"rounds": 6}, "algorithm": {"name": "scaffold"}}
    project = world.ours.deployed(world.make("full", **settings))
    run = world.ours.begin(project)
    until(lambda: newest(world, project) >= 2, END)
    taken = fill(disk)
    time.sleep(1)  # what was there already is still fetched
    before = newest(world, project)
    time.sleep(2)
    assert newest(world, project) == before < 6
    taken.unlink()
    assert run.wait(timeout=END) == 0, world.ours.log("full")
    assert (project / MODEL).read_bytes() == alone(world, "full", {}, **settings)


def test_a_hospital_that_hangs_past_its_deadline_is_missing_by_name_and_comes_back(
    world: World,
) -> None:
    rounds = 12
    settings = {"quorum": 2, "deadline_s": 8.0, "retries": 0}
    project = world.ours.deployed(world.make("hangs", run={"rounds": rounds}), **settings)
    run = world.ours.begin(project)
    until(lambda: newest(world, project) >= 2, END)
    group = world.ours.joined["south"].pid
    os.killpg(group, signal.SIGSTOP)
    until(lambda: missed(world, project) >= 2, END)  # in training and in evaluation
    os.killpg(group, signal.SIGCONT)
    assert run.wait(timeout=END) == 0, world.ours.log("hangs")
    events = world.ours.events(project)
    assert {e["hospital"] for e in events if e["event"] == "missing"} == {"south"}
    taken = {(e["hospital"], e["round"]) for e in events if e["event"] == "accepted"}
    absent = {n: {h for h in world.ours.sites if (h, n) not in taken} for n in range(1, rounds + 1)}
    assert {h for missing in absent.values() for h in missing} == {"south"}
    assert ("south", rounds) in taken
    assert (project / MODEL).read_bytes() == alone(world, "hangs", absent, run={"rounds": rounds})


def missed(world: World, project: Path) -> int:
    """How often a hospital was."""
    return sum(e["event"] == "missing" for e in world.ours.events(project))


def test_a_coordinator_killed_at_every_write_of_its_journal_ends_with_the_same_bytes(
    world: World, prefect: tuple[Server, str], tmp_path: Path
) -> None:
    """Each time it goes on without waiting for a deadline, to the next write, where it is killed
    again; with control variates, of which each hospital keeps its own."""
    settings: dict[str, Any] = {"run": {"rounds": 2}, "algorithm": {"name": "scaffold"}}
    template = world.make("template", **settings)
    write(world.patients, template)
    load_job(load(template / "params.yaml"), template)
    with lanes(template, tmp_path / "scratch", prefect[1]) as found, found.lane() as lane:
        whole = world.ours.deployed(world.make("whole", **settings))
        code, _ = lane.run(whole)
        assert code == 0, (whole / "run.log").read_text()
        points = (whole / "points.log").read_text().splitlines()
        points = [point for point in dict.fromkeys(points) if ends_a_write(point)]
        chain = world.ours.deployed(world.make("chain", **settings))
        for number, point in enumerate(points):
            code, seconds = lane.run(chain, at=point)
            assert code == KILLED, f"{point}: {code}"
            assert number == 0 or seconds < JOIN_SECONDS, f"{point}: {seconds} s"
        code, seconds = lane.run(chain)
        assert code == 0, (chain / "run.log").read_text()
        assert seconds < JOIN_SECONDS
    assert len(points) >= 11
    expected = alone(world, "chain", {}, **settings)
    assert (chain / MODEL).read_bytes() == (whole / MODEL).read_bytes() == expected


def ends_a_write(point: str) -> bool:
    """Of the journal, by training itself: what MLflow's outbox does comes sooner or later
    (test_resume.py). Before a write is after the one before it."""
    return point.startswith("after") and not point.endswith("opened") and "mirrored" not in point


def test_clocks_were_a_day_off(world: World) -> None:
    """Of what went before: the two hospitals' own logs say another day."""

    def last(hospital: str) -> datetime:
        return datetime.fromisoformat(world.ours.events(world.ours.sites[hospital])[-1]["time"])

    now, day = datetime.now(UTC), timedelta(days=1)
    if abs(last("west") - now) < day / 2:
        pytest.skip("no C compiler here: all clocks are right")
    assert abs(last("west") + day - now) < day / 2
    assert abs(last("north") - day - now) < day / 2
    assert abs(last("south") - now) < day / 2
