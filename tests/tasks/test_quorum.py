import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import pytest
from prefect import flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Cancelling

from federated.config import FederationConfig
from federated.errors import WardroundError
from federated.shares import Missing, Share
from federated.types import Receipt
from tasks.quorum import enough, shortfall, wait_for_a_person
from tasks.suspension import resume

COHORT = ["north", "south", "west"]


def settings(
    quorum: int | None, on_missing: str = "reweight", pause_s: int = 0
) -> FederationConfig:
    return FederationConfig.model_validate(
        {
            "mode": "deployment",
            "exchange": "exchange",
            "key": "keys/coordinator",
            "roster": "roster.yaml",
            "join_s": 1.0,
            "deadline_s": 1.0,
            "retries": 0,
            "pause_s": pause_s,
            "quorum": quorum,
            "on_missing": on_missing,
            "late": "drop",
            "norm_bound": None,
        }
    )


def share(*there: str) -> Share:
    receipts = tuple(Receipt(h, 4, 10, 1, 0.5, {}, 8) for h in there)
    missing = tuple(Missing(h, 4, "no answer in time") for h in COHORT if h not in there)
    return Share(receipts, None, missing=missing)


@pytest.mark.parametrize(
    ("quorum", "there", "goes_on"),
    [
        (None, COHORT, True),
        (None, ["north", "south"], False),
        (2, ["north", "south"], True),
        (2, ["north"], False),
        (5, COHORT, True),  # no more than were asked
    ],
)
def test_a_quorum_makes_a_round(quorum: int | None, there: list[str], goes_on: bool) -> None:
    assert enough(settings(quorum), COHORT, share(*there)) is goes_on


def test_on_missing_stop_needs_all_of_them() -> None:
    assert not enough(settings(1, "stop"), COHORT, share("north", "south"))
    assert enough(settings(1, "stop"), COHORT, share(*COHORT))


WHY = shortfall(settings(None), COHORT, share("north", "south"), 4)


def test_the_error_names_round_hospitals_and_reasons() -> None:
    with pytest.raises(WardroundError, match="All rounds before are kept") as found:
        wait_for_a_person(settings(None), WHY)
    assert "round 4: 2 of 3 hospitals answered, quorum 3" in str(found.value)
    assert "west: no answer in time" in str(found.value)


@flow
def without_a_quorum(seconds: int) -> str:
    """Waits for a person."""
    wait_for_a_person(settings(None, pause_s=seconds), WHY)
    return "went on"


@pytest.fixture
def client(prefect_url: str) -> Iterator[SyncPrefectClient]:
    with temporary_settings({PREFECT_API_URL: prefect_url}), get_client(sync_client=True) as found:
        yield found


def waiting(client: SyncPrefectClient) -> FlowRun:
    """The run of `without_a_quorum` that is paused."""
    name = FlowFilter(name=FlowFilterName(any_=["without-a-quorum"]))
    paused = FlowRunFilter(
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.PAUSED]))
    )
    for _ in range(1200):
        found = client.read_flow_runs(flow_filter=name, flow_run_filter=paused)
        if found:
            return found[0]
        time.sleep(0.1)
    raise AssertionError("no run pauses")


def test_a_run_without_a_quorum_is_paused_says_why_and_goes_on_once_resumed(
    client: SyncPrefectClient, capsys: pytest.CaptureFixture[str]
) -> None:
    with ThreadPoolExecutor(1) as threads:
        context = copy_context()  # Prefect's settings
        run = threads.submit(context.run, without_a_quorum, 600)
        paused = waiting(client)
        assert paused.state is not None
        assert paused.state.message == WHY
        resume(str(paused.id))
        assert run.result(timeout=120) == "went on"
    assert f"wardround resume {paused.id}" in capsys.readouterr().out
    with pytest.raises(WardroundError, match="is not resumed"):
        resume(str(paused.id))
    with pytest.raises(WardroundError, match="is no flow run's id"):
        resume("north")


def test_a_run_that_nobody_resumes_stops(client: SyncPrefectClient) -> None:
    with pytest.raises(WardroundError, match="All rounds before are kept"):
        without_a_quorum(1)


def test_a_run_that_is_cancelled_while_paused_stops(client: SyncPrefectClient) -> None:
    with ThreadPoolExecutor(1) as threads:
        run = threads.submit(copy_context().run, without_a_quorum, 600)
        client.set_flow_run_state(waiting(client).id, Cancelling(), force=True)
        with pytest.raises(WardroundError, match="cancelled while it was paused"):
            run.result(timeout=120)
