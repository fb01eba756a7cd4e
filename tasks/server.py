"""Prefect's server: the temporary one of a single command, and whether another one answers.

Prefect's temporary server is a process of its own. It ends with the command, but a command that
is killed leaves it behind; the next one finds the note of it and ends it.
"""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import psutil
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
    PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS,
    temporary_settings,
)

from federated.errors import WardroundError
from tasks.files import write_atomic
from tasks.temporary_server import Begun

if TYPE_CHECKING:
    from prefect.server.api.server import SubprocessASGIServer

_SETTLE_SECONDS = 10.0
_NOT_STARTED = "Prefect's temporary server did not start: {}. `wardround doctor` checks why"


@contextmanager
def prefect_server(project: Path, begun: Begun | None = None) -> Iterator[None]:
    """A Prefect API for one command: the configured one, or a temporary one.

    begun: the temporary one, if it is on its way up already; it ends with this process.
    """
    if begun is None and os.environ.get("PREFECT_API_URL"):
        require_server()
        yield
        return
    notes = project / ".prefect"
    for left in notes.glob("temporary-server-*.json"):
        _end_orphan(left)
    note = notes / f"temporary-server-{os.getpid()}.json"
    since = datetime.now(UTC)
    if begun is not None:
        _write_note(note, begun.process.pid)
        _await(begun)
    client = _start()
    if begun is None and (embedded := _embedded().server_process) is not None:
        _write_note(note, embedded.pid)
    try:
        # heartbeats tell a lasting server's automations of dead runs, and end a second late
        with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
            yield
    finally:
        _settle(client, since)
        note.unlink(missing_ok=True)


def require_server() -> None:
    """Raise WardroundError unless the Prefect server of PREFECT_API_URL answers."""
    url = os.environ.get("PREFECT_API_URL", "")
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
    return PREFECT_API_URL.value() or _embedded().api_url


def _embedded() -> "SubprocessASGIServer":
    """The server that Prefect starts itself."""
    from prefect.server.api.server import SubprocessASGIServer  # two seconds of imports

    return SubprocessASGIServer()


def _start() -> SyncPrefectClient:
    """Start the temporary server by asking for a client of it."""
    try:
        return get_client(sync_client=True)
    except RuntimeError as error:
        raise WardroundError(_NOT_STARTED.format(error)) from error


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
    raise WardroundError(_NOT_STARTED.format(why))


def _write_note(note: Path, pid: int) -> None:
    started = psutil.Process(pid).create_time()
    values = {"pid": pid, "started": started, "owner": os.getpid()}
    write_atomic(note, json.dumps(values).encode())


def _end_orphan(note: Path) -> None:
    """End the temporary server whose command was killed; only that very process."""
    try:
        known = json.loads(note.read_text())
        if psutil.pid_exists(known["owner"]):
            return
        _end(psutil.Process(known["pid"]), known["started"])
    except (FileNotFoundError, json.JSONDecodeError, KeyError, psutil.NoSuchProcess):
        pass  # another command was quicker, or was killed while it wrote
    note.unlink(missing_ok=True)


def _end(server: psutil.Process, started: float) -> None:
    if server.create_time() != started:
        return
    server.terminate()
    try:
        server.wait(timeout=10)
    except psutil.TimeoutExpired:
        server.kill()


def _settle(client: SyncPrefectClient, begun: datetime) -> None:
    """Let the server write down the last task runs before it ends with this process."""
    unfinished = TaskRunFilter(
        start_time=TaskRunFilterStartTime(after_=begun),
        state=TaskRunFilterState(
            type=TaskRunFilterStateType(any_=[StateType.PENDING, StateType.RUNNING])
        ),
    )
    until = time.monotonic() + _SETTLE_SECONDS
    while time.monotonic() < until and client.read_task_runs(task_run_filter=unfinished, limit=1):
        time.sleep(0.05)
