"""Prefect's server: the temporary one of a single command, and whether another one answers."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    TaskRunFilter,
    TaskRunFilterStartTime,
    TaskRunFilterState,
    TaskRunFilterStateType,
)
from prefect.client.schemas.objects import StateType
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
    PREFECT_HOME,
    PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS,
    get_current_settings,
    temporary_settings,
)

from federated.errors import WardroundError
from tasks.faults import advised, reason
from tasks.temporary_server import Begun, start

_SETTLE_SECONDS = 10.0
_NOT_STARTED = "Prefect's temporary server did not start: {} (its database is in {})"


@contextmanager
def prefect_server(begun: Begun | None = None) -> Iterator[None]:
    """A Prefect API for one command: the configured one, or a temporary one, which ends with this
    process.

    begun: the temporary one, if it is on its way up already. Raises WardroundError if none answers,
    or one does not go on answering.
    """
    if begun is None and PREFECT_API_URL.value():
        require_server()
        with _answering(None):
            yield
        return
    since = datetime.now(UTC)
    if begun is None:
        begun = start(get_current_settings().to_environment_variables(exclude_unset=True))
    _await(begun)
    # heartbeats tell a lasting server's automations of dead runs, and end a second late
    ours = {PREFECT_API_URL: begun.url, PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}
    with temporary_settings(ours), _answering(begun), get_client(sync_client=True) as client:
        try:
            yield
        except Exception:
            _settle(client, since)
            raise
        _settle(client, since)


@contextmanager
def _answering(begun: Begun | None) -> Iterator[None]:
    """A fault of the server is a WardroundError that says how to go on. begun: a temporary one,
    which may know why."""
    try:
        yield
    except httpx.HTTPError as error:  # Prefect's own errors of this kind are of this class
        known = begun.last_words() if begun is not None else ""
        why = advised(known) if known else reason(error)
        raise WardroundError(
            f"Prefect's server does not answer as it should ({why}). Finished rounds are in the "
            "journal: the same command goes on from there"
        ) from error


def require_server() -> None:
    """Raise WardroundError unless the Prefect server of PREFECT_API_URL answers."""
    url = os.environ.get("PREFECT_API_URL") or PREFECT_API_URL.value()
    if not url:
        raise WardroundError(
            "no Prefect server is named; start one with `prefect server start`, then "
            "`export PREFECT_API_URL=http://127.0.0.1:4200/api`"
        )
    # Prefect's own client: it knows of PREFECT_API_SSL_CERT_FILE and the like
    with (
        temporary_settings({PREFECT_API_URL: url}),
        get_client(httpx_settings={"timeout": 10}, sync_client=True) as client,
    ):
        error = client.api_healthcheck()
    if error is not None:
        raise WardroundError(
            f"no Prefect server answers at {url} ({error}); start it with `prefect server "
            "start`, or unset PREFECT_API_URL to use a temporary one"
        ) from error


def server_url() -> str:
    """The API within `prefect_server`, for processes that this one starts."""
    return PREFECT_API_URL.value() or ""


def _await(begun: Begun) -> None:
    """Until the server answers. Raises WardroundError if it ended, or does not in time."""
    until = time.monotonic() + PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS.value()
    with httpx.Client() as client:
        while time.monotonic() < until and begun.process.poll() is None:
            try:
                if client.get(f"{begun.url}/health").status_code == httpx.codes.OK:
                    begun.answered = True
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.05)
    ended = begun.process.poll()
    why = "it does not answer" if ended is None else f"it ended with exit code {ended}"
    raise WardroundError(
        _NOT_STARTED.format(advised(begun.last_words() or why), PREFECT_HOME.value())
    )


def _settle(client: SyncPrefectClient, begun: datetime) -> None:
    """Let the server write down the last task runs before it ends with this process."""
    unfinished = TaskRunFilter(
        start_time=TaskRunFilterStartTime(after_=begun),
        state=TaskRunFilterState(
            type=TaskRunFilterStateType(any_=[StateType.PENDING, StateType.RUNNING])
        ),
    )
    until = time.monotonic() + _SETTLE_SECONDS
    with suppress(httpx.HTTPError):  # the server is gone: what it knows is written
        while time.monotonic() < until and client.read_task_runs(
            task_run_filter=unfinished, limit=1
        ):
            time.sleep(0.05)
