"""Hospitals at their own sites: real processes, messages through a real Prefect server."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import pytest
import yaml
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterKey,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import StateType
from prefect.settings import PREFECT_API_URL, temporary_settings

from tasks.exchange import keys
from tasks.exchange.audit_check import verify
from tests.conftest import ROOT
from tests.flows.federation import World, table_world, until
from tests.flows.traces import contents, forms, leaks

pytestmark = pytest.mark.slow
END = 300  # seconds
PLAN_OF_NORTH = ArtifactFilter(key=ArtifactFilterKey(any_=["plan-north"]))
MODEL = "reports/model.safetensors"
WATCHED = ROOT / "tests" / "flows" / "watched"


class Deployed(NamedTuple):
    """What Prefect's server says of a deployment."""

    id: UUID
    entrypoint: str | None
    pool: str | None
    paused: bool


@pytest.fixture(scope="module")
def world(
    tmp_path_factory: pytest.TempPathFactory, migrated_database: Path, prefect_url: str
) -> Iterator[World]:
    with table_world(tmp_path_factory.mktemp("federation"), migrated_database, prefect_url) as made:
        own = {"PYTHONPATH": f"{WATCHED}{os.pathsep}{ROOT}"}
        for who in ("coordinator", *made.ours.sites):
            made.ours.own[who] = own | {"PICKLE_LOG": str(made.ours.logs / f"{who}.pickle")}
        made.ours.join(*made.ours.sites)
        yield made


def test_a_hospitals_policy_refuses_a_job_and_the_coordinator_learns_why(world: World) -> None:
    ours = world.ours
    path = ours.sites["north"] / "site.yaml"
    before = path.read_text()
    strict = yaml.safe_load(before)
    strict["policy"] |= {"max_rounds": 3, "models": ["mlp"]}
    path.write_text(yaml.safe_dump(strict))
    try:
        project = ours.deployed(world.make("refused"))
        assert ours.begin(project).wait(timeout=END) == 1
    finally:
        path.write_text(before)
    said = ours.log("refused")
    assert "north: refused by the hospital's policy: model logistic: not allowed here" in said
    assert "6 rounds are asked, at most 3 are allowed" in said
    assert not any(e["event"] == "accepted" for e in ours.events(project))


def test_a_sites_deployment_from_its_file_is_the_one_that_joining_makes(world: World) -> None:
    def kept() -> Deployed:
        with (
            temporary_settings({PREFECT_API_URL: world.ours.url}),
            get_client(sync_client=True) as client,
        ):
            found = client.read_deployment_by_name("hospital-session/north")
        return Deployed(found.id, found.entrypoint, found.work_pool_name, found.paused)

    joined = kept()
    deploy = ("deploy", "--all", "--prefect-file", str(ROOT / "deploy" / "prefect-site.yaml"))
    done = subprocess.run(
        [sys.executable, "-m", "prefect", "--no-prompt", *deploy],
        cwd=ROOT,
        env={
            **os.environ,
            "COLUMNS": "200",
            "PREFECT_API_URL": world.ours.url,
            "WARDROUND_HOSPITAL": "north",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "hospital-session/north" in done.stdout
    assert kept() == joined


def test_a_person_at_the_hospital_approves_a_job(world: World) -> None:
    """Until then nothing is computed there, though the session is killed meanwhile; the plan stands
    on the Prefect page."""
    ours = world.ours
    path = ours.sites["north"] / "site.yaml"
    before = path.read_text()
    asks = yaml.safe_load(before)
    asks["policy"] |= {"approval": "required"}
    path.write_text(yaml.safe_dump(asks))
    try:
        project = ours.deployed(world.make("approved", run={"rounds": 3}))
        run = ours.begin(project)
        with (
            temporary_settings({PREFECT_API_URL: ours.url}),
            get_client(sync_client=True) as client,
        ):
            until(lambda: waiting(client) is not None, END)
            session = waiting(client)
            assert session is not None
            plan = ours.events(ours.sites["north"])[-1]["details"]["plan"]
            artifacts = client.read_artifacts(artifact_filter=PLAN_OF_NORTH)
            assert plan in str(artifacts[-1].data)
            asked = len(ours.events(ours.sites["north"]))
            ours.kill("north")
            ours.join("north")
            until(lambda: len(ours.events(ours.sites["north"])) > asked, END)
            until(lambda: waiting(client) is not None, END)
            assert not ours.happened(project, "joined", "north", 0)
            client.resume_flow_run(session)
        assert run.wait(timeout=END) == 0, ours.log("approved")
    finally:
        path.write_text(before)
    assert any(e["event"] == "approved" for e in ours.events(ours.sites["north"]))


def waiting(client: SyncPrefectClient) -> UUID | None:
    """The session that is paused."""
    paused = FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.PAUSED]))
    found = client.read_flow_runs(flow_run_filter=FlowRunFilter(state=paused))
    return found[0].id if found else None


def test_nothing_of_a_patient_has_left(world: World) -> None:
    """After all runs above: in the exchange, the Prefect server, and all that coordinators have."""
    ours, numbers = world.ours, world.patients.numbers()
    wanted = {name: forms(value) for name, value in numbers.items()}
    folder = ours.logs.parent
    made = [p for p in folder.iterdir() if p.name not in ("sites", "source")]
    roots = [p for p in made if not p.name.endswith("simulated") and p.name != "expected"]
    kept = [p for s in ours.sites.values() for p in s.iterdir() if p.name != "data"]
    server = Path(os.environ["PREFECT_HOME"])
    assert len(roots) >= 5
    assert leaks(contents([*roots, *kept, server]), wanted) == []
    found = leaks(contents([ours.sites["north"] / "data"]), wanted)
    assert len(found) >= 10  # the search finds what is there


def test_nothing_was_pickled_on_a_path_from_or_to_a_hospital(world: World) -> None:
    """In all processes of the runs above. At a hospital nothing is pickled at all."""
    for hospital in world.ours.sites:
        uses = pickles(world, hospital)
        assert sum("flows.hospital_session" in one for one in uses) >= 2  # sessions were watched
        assert [one for one in uses if not one.startswith("begun ")] == []
    uses = pickles(world, "coordinator")
    assert sum(one.startswith("begun ") for one in uses) >= 2
    others = [one for one in uses if not one.startswith("begun ")]
    assert [one for one in others if "/torch/export/" not in one] == []  # the model, at the end


def pickles(world: World, who: str) -> list[str]:
    """Uses of pickle at a hospital, or at the coordinator, and its processes' beginnings."""
    return (world.ours.logs / f"{who}.pickle").read_text().splitlines()


def test_every_audit_log_is_as_it_was_written(world: World) -> None:
    ours = world.ours
    for hospital, site in ours.sites.items():
        key = keys.load(site / "keys" / hospital).public
        found = verify(site / "audit", key, unsigned=True)
        assert found.fault is None, hospital
        assert found.entries > 10
    private = keys.load(ours.common / "keys" / "coordinator")
    for project in ("refused", "approved"):
        folder = ours.logs.parent / project / "audit"
        assert verify(folder, private.public).fault is None
