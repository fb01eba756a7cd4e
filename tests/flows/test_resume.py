"""`kill -9` at any instant, then the same command: the run ends as if it had not been killed.

Real processes, the real Prefect server, the real MLflow. Whatever a run leaves is compared with
what an uninterrupted one left: the same bytes, the same metrics, no round twice, one run.
"""

import random
import shutil
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from federated.config import load
from tasks.job import load_job
from tests.conftest import ROOT, SMALL, merged
from tests.flows.aftermath import (
    Aftermath,
    aftermath,
    committed,
    differences,
    is_finished,
    is_noted,
)
from tests.flows.killing import KILLED, Lane, Lanes, lanes

pytestmark = pytest.mark.slow
JOB = {
    "data": {"source": {"hospitals": 2, "rows": 40}},
    "run": {"rounds": 3, "baselines": ["alone", "pooled"]},
}

NOTES = ("opened", "mirrored 3")


class Uninterrupted(NamedTuple):
    """What a run that nobody killed left, how long it took, and the points it came by."""

    left: Aftermath
    seconds: float
    journal: list[str]
    mlflow: list[str]


@pytest.fixture(scope="module")
def small_job(
    tmp_path_factory: pytest.TempPathFactory, migrated_database: Path, prefect_url: str
) -> Iterator[Lanes]:
    """Processes that fork runs of one small job, whose data lie ready."""
    folder = tmp_path_factory.mktemp("resume")
    template = folder / "template"
    (template / "mlruns").mkdir(parents=True)
    shutil.copy(migrated_database, template / "mlruns" / "mlflow.db")
    values = merged(merged(yaml.safe_load((ROOT / "params.yaml").read_text()), SMALL), JOB)
    (template / "params.yaml").write_text(yaml.safe_dump(values))
    load_job(load(template / "params.yaml"), template)
    with lanes(template, folder / "scratch", prefect_url) as ready:
        yield ready


@pytest.fixture(scope="module")
def uninterrupted(small_job: Lanes) -> Uninterrupted:
    """The run that every killed one must equal."""
    project = small_job.fresh("uninterrupted")
    with small_job.lane() as lane:
        code, seconds = lane.run(project)
    assert code == 0, (project / "run.log").read_text()
    points = (project / "points.log").read_text().splitlines()
    mlflow = [label for label in points if label.startswith("mlflow")]
    journal = [label for label in points if label not in mlflow and not _copying(label)]
    left = aftermath(project)
    assert (len(left.models), left.journals) == (1, 1)
    assert left.versions == {"1": ["challenger", "champion"]}
    return Uninterrupted(left, seconds, journal, mlflow)


def _copying(label: str) -> bool:
    """Does the outbox reach this point, whose thread has its own time?"""
    return "facts mirrored" in label or "facts opened" in label


def kill(lane: Lane, project: Path, *, seconds: float | None = None, at: str | None = None) -> bool:
    """Run until killed; was it killed? The rounds that were finished stay, and can be read."""
    kept = committed(project)
    code, _ = lane.run(project, seconds=seconds, at=at)
    assert code in (0, KILLED), (project / "run.log").read_text()
    assert committed(project)[: len(kept)] == kept, "a finished round was done again"
    return code == KILLED


def finish(lane: Lane, project: Path, wanted: Uninterrupted) -> list[str]:
    """Let it come to its end; how what it leaves differs."""
    if not is_finished(project):
        kill(lane, project)
    return differences(aftermath(project), wanted.left)


def test_killed_at_every_write_of_the_journal(
    small_job: Lanes, uninterrupted: Uninterrupted
) -> None:
    points = uninterrupted.journal
    assert len(points) == len(set(points)) == 30  # before and after 5 files and 10 commits

    def check(lane: Lane, first: int) -> list[str]:
        """Each of three runs is killed at every third point, and goes on to the next one.

        Baselines come in any order: one that was noted before its turn is not trained again.
        """
        project = small_job.fresh(f"journal-{first}")
        ahead = (at for at in points[first::3] if not is_noted(project, at))
        missed = [at for at in ahead if not kill(lane, project, at=at)]
        assert missed == []
        return finish(lane, project, uninterrupted)

    assert small_job.each(range(3), check) == []


def test_killed_at_every_commit_of_mlflow(small_job: Lanes, uninterrupted: Uninterrupted) -> None:
    """By the outbox's thread, which begins the run and copies rounds, and after the last round."""
    opening = [at for at in uninterrupted.mlflow if "opening" in at][:9]
    closing = [at for at in uninterrupted.mlflow if "closing" in at][:-3]  # how many is a race
    assert min(len(opening), len(closing)) >= 8

    def check(lane: Lane, kills: tuple[str, str]) -> list[str]:
        project = small_job.fresh("-".join(kills).replace("/", "-"))
        assert [kill(lane, project, at=at) for at in kills] == [True, True]
        return finish(lane, project, uninterrupted)

    assert small_job.each(zip(cycle(opening), closing, strict=False), check) == []


def test_killed_around_the_note_of_what_is_copied(
    small_job: Lanes, uninterrupted: Uninterrupted
) -> None:
    """What was copied and not noted is copied again, and counts once."""
    points = [f"{when} commit of facts {what}" for when in ("before", "after") for what in NOTES]

    def check(lane: Lane, at: str) -> list[str]:
        project = small_job.fresh(at.replace(" ", "-"))
        assert kill(lane, project, at=at)
        return finish(lane, project, uninterrupted)

    assert small_job.each(points, check) == []


def test_killed_at_random_instants(small_job: Lanes, uninterrupted: Uninterrupted) -> None:
    def check(lane: Lane, seed: int) -> list[str]:
        """Runs killed again and again until an attempt comes to its end; ten kills at least."""
        drawn, kills = random.Random(seed), 0
        faults: list[str] = []
        while kills < 10:
            project = small_job.fresh(f"random-{seed}-{drawn.random()}")
            while not is_finished(project):
                kills += kill(lane, project, seconds=drawn.uniform(0, uninterrupted.seconds))
            faults += differences(aftermath(project), uninterrupted.left)
        print(f"seed {seed}: {kills} kills")
        return faults

    assert small_job.each([2026, 2027], check) == []


def test_a_removed_journal_begins_a_run_of_its_own_in_mlflow(
    small_job: Lanes, uninterrupted: Uninterrupted
) -> None:
    """The new journal lies where the removed one lay; their rounds are not mixed."""
    project = small_job.fresh("removed")
    with small_job.lane() as lane:
        kill(lane, project, at="after commit of facts mirrored 3")
        shutil.rmtree(project / "mlruns" / "journals")
        assert not kill(lane, project)
    found = aftermath(project)
    assert [status for _, nested, status in found.runs if not nested] == ["FINISHED", "RUNNING"]
    assert found.outputs == uninterrupted.left.outputs
    for run, history in uninterrupted.left.histories.items():
        assert found.histories[run] == history
