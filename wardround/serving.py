"""Serving the training flow on a schedule."""

import asyncio
import multiprocessing
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.runner import Runner

from federated.errors import WardroundError
from flows.federated_training import federated_training
from tasks.server import require_server

_ASKED_AGAIN = 2.5  # seconds
_TIMES = 3  # that a run is waited for so long, before it is killed


class _Runner(Runner):
    """Prefect's runner, ended by SIGTERM or Ctrl-C: it pauses its schedule first.

    Left to itself it waits for the run under way, however long that takes, and at SIGTERM leaves
    the event loop where it stands, so that runs nobody will start become due on the server. A
    cancellation that comes while a run is being started or ends may be swallowed there, and the
    runner goes on: so it is asked again until it leaves.
    """

    asked = False
    """Has a signal come?"""
    _serving: "asyncio.Future[None] | None" = None
    _leaves = False
    _times = 0
    _told: frozenset[int | None] = frozenset()

    async def serve(self) -> None:
        """Start, and run until cancelled."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, self.handle_sigterm)
        self._serving = asyncio.ensure_future(self.start())
        await self._serving

    def handle_sigterm(self, *_: Any, **__: Any) -> None:
        if self.asked:  # a second signal: without patience
            self._times = _TIMES
        self.asked = True
        asyncio.get_running_loop().call_soon_threadsafe(self._end)

    def _end(self) -> None:
        """Tell the run under way, which marks itself in MLflow, and the runner."""
        for run in multiprocessing.active_children():
            if self._times >= _TIMES:
                run.kill()
            elif run.pid not in self._told:
                run.terminate()
            self._told |= {run.pid}
        if self._serving is not None and not self._serving.done() and not self._leaves:
            self._serving.cancel()
        self._times += 1
        asyncio.get_running_loop().call_later(_ASKED_AGAIN, self._end)

    async def __aexit__(self, *error: Any) -> None:
        self._leaves = True
        await super().__aexit__(*error)


def serve_flow(
    params: Path,
    overrides: Sequence[str],
    out: Path,
    name: str,
    cron: str,
    every: int | None,
) -> None:
    """Serve until interrupted. A run that is due while the last one still runs is cancelled.

    Raises WardroundError if no Prefect server answers, or the schedule is not valid.
    """
    require_server()
    one_at_a_time = ConcurrencyLimitConfig(
        limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW
    )
    parameters = {
        "params": str(params),
        "overrides": list(overrides),
        "out": str(out),
        "project": str(Path.cwd()),
    }
    runner = _Runner(name=name)
    try:
        runner.add_flow(
            federated_training,
            name=name,
            cron=cron if every is None else None,
            interval=every,
            concurrency_limit=one_at_a_time,
            parameters=parameters,
        )
    except ValueError as error:
        raise WardroundError(f"--cron {cron!r}: {error}") from error
    print(f"serving federated-training/{name} {_when(cron, every)}; Ctrl-C ends it", flush=True)
    try:
        asyncio.run(runner.serve())
    except asyncio.CancelledError:
        if not runner.asked:
            raise
        print(f"federated-training/{name} is paused", flush=True)


def _when(cron: str, every: int | None) -> str:
    return f"at {cron!r} (UTC)" if every is None else f"every {every} s"
