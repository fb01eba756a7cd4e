"""Starts runs in processes of their own, kills them, and starts them again."""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import TypeVar

from tests.conftest import ROOT

KILLED = -9
LANES = 2  # more of them wait for the one Prefect server
Case = TypeVar("Case")


class Lane:
    """The way to one process that forks runs, one at a time."""

    def __init__(self, ours: socket.socket) -> None:
        self._lines = ours.makefile("rw")

    def wait_ready(self) -> None:
        """Until everything is imported."""
        if self._lines.readline() != "ready\n":
            raise RuntimeError("the forker ended; its forker.log says why")

    def run(
        self, project: Path, *, seconds: float | None = None, at: str | None = None
    ) -> tuple[int, float]:
        """(exit code, seconds) of the flow over `project`; killed after `seconds` or at a point.

        The points it came by are in the project's points.log.
        """
        order = {"project": str(project), "seconds": seconds, "at": at}
        print(json.dumps(order), file=self._lines, flush=True)
        answer = json.loads(self._lines.readline())
        return int(answer["code"]), float(answer["seconds"])

    def close(self) -> None:
        """The process behind it ends."""
        self._lines.close()


class Lanes:
    """Several lanes side by side, and fresh copies of one project to run."""

    def __init__(self, template: Path, lanes: list[Lane]) -> None:
        self._template = template
        self._lanes: SimpleQueue[Lane] = SimpleQueue()
        for lane in lanes:
            self._lanes.put(lane)

    def fresh(self, name: str) -> Path:
        """A copy of the project whose data are ready and where nothing has run."""
        return Path(shutil.copytree(self._template, self._template.with_name(name)))

    @contextmanager
    def lane(self) -> Iterator[Lane]:
        """A lane that nobody else uses meanwhile."""
        lane = self._lanes.get()
        try:
            yield lane
        finally:
            self._lanes.put(lane)

    def each(self, cases: Iterable[Case], check: Callable[[Lane, Case], list[str]]) -> list[str]:
        """Faults of all cases, checked side by side."""

        def one(case: Case) -> list[str]:
            with self.lane() as lane:
                return [f"{case}: {fault}" for fault in check(lane, case)]

        with ThreadPoolExecutor(LANES) as threads:
            return [fault for faults in threads.map(one, cases) for fault in faults]


@contextmanager
def lanes(template: Path, scratch: Path, prefect_url: str) -> Iterator[Lanes]:
    """Lanes that are ready; their processes end with the block."""
    pairs = [socket.socketpair() for _ in range(LANES)]
    started = [Lane(ours) for ours, _ in pairs]
    forker = _start([theirs for _, theirs in pairs], template, scratch, prefect_url)
    for end in (end for pair in pairs for end in pair):
        end.close()
    try:
        for lane in started:
            lane.wait_ready()
        yield Lanes(template, started)
    finally:
        for lane in started:
            lane.close()
        forker.wait(timeout=300)


def _start(
    sockets: list[socket.socket], template: Path, scratch: Path, prefect_url: str
) -> subprocess.Popen[bytes]:
    scratch.mkdir()
    numbers = [end.fileno() for end in sockets]
    with (scratch / "forker.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.flows.forker", template, scratch, *map(str, numbers)],
            cwd=ROOT,
            env={**os.environ, "PREFECT_API_URL": prefect_url, "PREFECT_CLIENT_MAX_RETRIES": "20"},
            pass_fds=numbers,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
