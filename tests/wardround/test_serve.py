"""`wardround serve`: the flow runs on its schedule, one run at a time, against a real server."""

import json
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterDeploymentId
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_API_URL, temporary_settings

from tests.conftest import Project
from tests.tasks.test_stopping import statuses, trains
from tests.wardround.process import running

pytestmark = pytest.mark.slow
NAME = "federated-training"


def runs(client: SyncPrefectClient, name: str) -> list[FlowRun]:
    """All runs of the deployment that have become due; none while it does not exist yet."""
    try:
        deployment = client.read_deployment_by_name(f"{NAME}/{name}").id
    except ObjectNotFound:
        return []
    mine = FlowRunFilter(deployment_id=FlowRunFilterDeploymentId(any_=[deployment]))
    now = datetime.now(UTC)
    found = client.read_flow_runs(flow_run_filter=mine)
    return [run for run in found if run.expected_start_time and run.expected_start_time <= now]


def in_state(found: list[FlowRun], state: StateType) -> list[FlowRun]:
    return [run for run in found if run.state_type == state]


def overlap(found: list[FlowRun]) -> bool:
    """Did two of them ever run at the same time?"""
    times = sorted((r.start_time, r.end_time) for r in found if r.start_time and r.end_time)
    return any(begun < ended for (_, ended), (begun, _) in pairwise(times))


def trained_on(project: Path) -> dict[str, str]:
    """Hospital → md5 of the records of the last run."""
    metrics = json.loads((project / "reports/often/metrics.json").read_text())
    found: dict[str, str] = metrics["run"]["data"]
    return found


def test_scheduled_runs_complete_one_at_a_time(make_project: Project, prefect_url: str) -> None:
    """The schedule is shorter than a run, so that runs become due while one is going on."""
    project = make_project(run={"baselines": []})
    command = ("serve", "--every", "4", "--name", "often", "--out", "reports/often")
    settings = {"PREFECT_API_URL": prefect_url, "PREFECT_RUNNER_POLL_FREQUENCY": "2"}
    with (
        temporary_settings({PREFECT_API_URL: prefect_url}),
        get_client(sync_client=True) as client,
        running(project, *command, **settings) as serving,
    ):
        serving.wait_until(
            lambda: len(in_state(runs(client, "often"), StateType.COMPLETED)) >= 2, 180
        )
        before, params = trained_on(project), project / "params.yaml"
        params.write_text(params.read_text().replace("rows: 60", "rows: 70"))
        serving.wait_until(lambda: trained_on(project) != before, 180)  # on what is there now
        assert serving.end() == 0
        found = runs(client, "often")
        completed = in_state(found, StateType.COMPLETED)
        assert in_state(found, StateType.CANCELLED)
        assert not in_state(found, StateType.FAILED)
        assert not overlap(completed)
        assert client.read_deployment_by_name(f"{NAME}/often").paused
    metrics = json.loads((project / "reports/often/metrics.json").read_text())
    assert metrics["run"]["rounds"] == 3


def test_a_run_that_is_under_way_is_ended_and_marked(
    make_project: Project, prefect_url: str
) -> None:
    """It would go on for an hour."""
    project = make_project(run={"baselines": [], "rounds": 100_000})
    settings = {"PREFECT_API_URL": prefect_url, "PREFECT_RUNNER_POLL_FREQUENCY": "2"}
    with running(project, "serve", "--every", "4", "--name", "ended", **settings) as serving:
        serving.wait_until(lambda: trains(project), 180)
        assert serving.end() == 0
        said = serving.log.read_text()
    assert statuses(project) == {"KILLED"}
    assert "federated-training/ended is paused" in said
    with temporary_settings({PREFECT_API_URL: prefect_url}), get_client(sync_client=True) as client:
        assert client.read_deployment_by_name(f"{NAME}/ended").paused
        assert not in_state(runs(client, "ended"), StateType.RUNNING)
