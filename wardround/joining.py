"""`wardround site join`: the hospital's own worker, which dials out and waits to be asked.

Prefect's process worker on the work pool `hospital-NAME`. What a coordinator can send is
parameters: command, environment and folder of a session are this side's own, whatever work pool or
deployment say on the server.
"""

import asyncio
import os
import sys
import tempfile
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.client.schemas.responses import WorkerFlowRunResponse
from prefect.exceptions import ObjectAlreadyExists
from prefect.states import Pending, Scheduled
from prefect.types.entrypoint import EntrypointType
from prefect.workers.process import (
    ProcessJobConfiguration,
    ProcessWorker,
    ProcessWorkerResult,
)

from flows.hospital_session import FOLDER, hospital_session
from tasks.exchange.site import SiteConfig
from tasks.production import require_safe_prefect
from tasks.server import require_server

_QUERY_SECONDS = 2.0
_STARTS = 3  # of one session, before it counts as crashed
_UNFINISHED = [StateType.PENDING, StateType.RUNNING, StateType.PAUSED, StateType.CANCELLING]


def pool_of(name: str) -> str:
    """The hospital's work pool."""
    return f"hospital-{name}"


warnings.filterwarnings("ignore", "Type 'SiteWorker'")  # it is meant to stand in for Prefect's


class SiteWorker(ProcessWorker):
    """Runs sessions with the code that is installed here, and nothing else."""

    type = "process"

    def __init__(self, folder: Path, **given: Any) -> None:
        super().__init__(**given)
        self._folder = folder

    async def run(
        self,
        flow_run: FlowRun,
        configuration: ProcessJobConfiguration,
        task_status: anyio.abc.TaskStatus[int] | None = None,
    ) -> ProcessWorkerResult:
        """One session; a process that dies is begun again, as the same flow run."""
        print(f"session {flow_run.name} begins", flush=True)
        code, pid = 1, 0
        for _ in range(_STARTS):
            process = await self._start(flow_run)
            pid = process.pid
            if task_status is not None:
                task_status.started(pid)
                task_status = None
            code = await process.wait()
            if code == 0 or await self._over(flow_run):
                break
            print(f"session {flow_run.name} ended with code {code}: begun again", flush=True)
            await self.client.set_flow_run_state(flow_run.id, Pending(), force=True)
        print(f"session {flow_run.name} has ended", flush=True)
        over = code == 0 or await self._over(flow_run)
        return ProcessWorkerResult(status_code=0 if over else code, identifier=str(pid))

    async def _get_scheduled_flow_runs(self) -> list[WorkerFlowRunResponse]:
        """All that wait, whatever this machine's clock says: no session is asked for in advance."""
        return await self.client.get_scheduled_flow_runs_for_work_pool(
            work_pool_name=self._work_pool_name, work_queue_names=list(self._work_queues)
        )

    async def _start(self, flow_run: FlowRun) -> anyio.abc.Process:
        command = [sys.executable, "-m", "flows.hospital_session", str(flow_run.id)]
        own = {FOLDER: str(self._folder), "PREFECT__FLOW_RUN_ID": str(flow_run.id)}
        code = str(Path(__file__).resolve().parents[1])
        path = os.pathsep.join([code, *filter(None, [os.environ.get("PYTHONPATH")])])
        return await anyio.open_process(
            command,
            stdin=None,
            stdout=None,
            stderr=None,
            cwd=self._folder,
            env={**os.environ, **own, "PYTHONPATH": path},
        )

    async def _over(self, flow_run: FlowRun) -> bool:
        """Has it ended by itself, well or not?"""
        state = (await self.client.read_flow_run(flow_run.id)).state
        return state is not None and state.is_final()


def join(site: SiteConfig, folder: Path) -> None:
    """Serve until interrupted. Raises WardroundError if no Prefect server answers, or one that is
    elsewhere is without TLS or log-in."""
    require_safe_prefect()
    require_server()
    os.environ.setdefault("PREFECT_WORKER_QUERY_SECONDS", str(_QUERY_SECONDS))
    own = folder / ".prefect" / "tmp"  # the folder in /tmp belongs to whichever user was first
    own.mkdir(mode=0o700, parents=True, exist_ok=True)
    tempfile.tempdir = str(own)
    asyncio.run(_join(site, folder))


async def _join(site: SiteConfig, folder: Path) -> None:
    pool = pool_of(site.name)
    async with get_client() as client:
        with suppress(ObjectAlreadyExists):  # of an earlier join
            await client.create_work_pool(WorkPoolCreate(name=pool, type=SiteWorker.type))
        taken_up = await _take_up(client, pool)
    deployment = await hospital_session.ato_deployment(
        name=site.name, work_pool_name=pool, entrypoint_type=EntrypointType.MODULE_PATH
    )
    await deployment.aapply()
    again = f", {taken_up} session(s) taken up again" if taken_up else ""
    print(f"hospital {site.name} has joined (work pool {pool}){again}; Ctrl-C leaves", flush=True)
    worker = SiteWorker(folder, work_pool_name=pool, name=f"wardround-{site.name}", limit=1)
    await worker.start()


async def _take_up(client: Any, pool: str) -> int:
    """Schedule again what a worker that was killed left unfinished; how many."""
    left = await client.read_flow_runs(
        flow_run_filter=FlowRunFilter(
            state=FlowRunFilterState(type=FlowRunFilterStateType(any_=_UNFINISHED))
        ),
        work_pool_filter=WorkPoolFilter(name=WorkPoolFilterName(any_=[pool])),
    )
    for run in left:
        # the server's time: by this machine's own, a session might be due tomorrow
        state: State[Any] = Scheduled(scheduled_time=run.created)
        await client.set_flow_run_state(run.id, state, force=True)
    return len(left)
