"""Worker processes that take orders and give answers, one JSON line each.

A worker that dies costs its order alone: the answer says so, and another worker takes its place.
Every worker ends when this process does, however it ends: its standard input closes. Ctrl-C ends
them by their process ids.
"""

import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import Any

_GRACE_SECONDS = 20.0  # a run that is interrupted marks itself KILLED in MLflow and Prefect
Answer = dict[str, Any]


class WorkerPool:
    """Up to `size` processes of `command`; a context manager that leaves none behind."""

    def __init__(
        self, command: Sequence[str], size: int, environment: Mapping[str, str], logs: Path
    ) -> None:
        self._command, self._environment, self._logs = [*command], dict(environment), logs
        self._size = size
        self._processes: dict[int, subprocess.Popen[str]] = {}
        self._lanes: list[threading.Thread] = []
        self._stopped = threading.Event()
        self._lock = threading.Lock()

    def __enter__(self) -> "WorkerPool":
        self._logs.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        if kind is not None:
            self.stop()
        for lane in self._lanes:
            lane.join()

    def answers(self, orders: Sequence[Any]) -> Iterator[tuple[int, Answer]]:
        """(index of the order, its answer) as they come; `{"error": …}` where a worker died."""
        pending: SimpleQueue[int | None] = SimpleQueue()
        done: SimpleQueue[tuple[int, Answer]] = SimpleQueue()
        size = min(self._size, len(orders))
        for item in (*range(len(orders)), *[None] * size):
            pending.put(item)
        for lane in range(size):
            arguments = (lane, orders, pending, done)
            self._lanes.append(threading.Thread(target=self._lane, args=arguments, daemon=True))
            self._lanes[-1].start()
        for _ in orders:
            yield done.get()

    def stop(self) -> None:
        """End every worker: ask, and kill those that have not ended after a while."""
        with self._lock:
            self._stopped.set()
            left = [*self._processes.values()]
        for process in left:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
        for process in left:
            try:
                process.wait(timeout=_GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _lane(
        self,
        lane: int,
        orders: Sequence[Any],
        pending: SimpleQueue[int | None],
        done: SimpleQueue[tuple[int, Answer]],
    ) -> None:
        """One worker after another, until there are no more orders."""
        while (index := pending.get()) is not None and not self._stopped.is_set():
            done.put((index, self._answer(lane, orders[index])))
        process = self._processes.get(lane)
        if process is not None and process.stdin is not None:
            process.stdin.close()
            process.wait()

    def _answer(self, lane: int, order: Any) -> Answer:
        try:
            process = self._worker(lane)
            answer = None if process is None else _ask(process, order)
        except OSError as error:
            return {"error": f"no process could be started: {error}"}
        if process is None:
            return {"error": "interrupted"}
        return answer or {"error": self._death(lane, process)}

    def _worker(self, lane: int) -> subprocess.Popen[str] | None:
        """The lane's worker, started if there is none; None once the pool is stopped."""
        with self._lock:
            if self._stopped.is_set():
                return None
            process = self._processes.get(lane)
            if process is None or process.poll() is not None:
                process = self._start(lane)
                self._processes[lane] = process
            return process

    def _start(self, lane: int) -> subprocess.Popen[str]:
        with self._log(lane).open("a") as log:
            return subprocess.Popen(
                self._command,
                env={**os.environ, **self._environment},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                encoding="utf-8",
                start_new_session=True,  # Ctrl-C reaches this process alone, which tells them
            )

    def _log(self, lane: int) -> Path:
        return self._logs / f"worker-{lane + 1}.log"

    def _death(self, lane: int, process: subprocess.Popen[str]) -> str:
        code = process.wait()
        return f"its process ended with exit code {code}; see {self._log(lane)}"


def _ask(process: subprocess.Popen[str], order: Any) -> Answer | None:
    """The worker's answer; None if it died."""
    if process.stdin is None or process.stdout is None:
        raise ValueError("a worker needs pipes for orders and answers")
    try:
        print(json.dumps(order), file=process.stdin, flush=True)
    except BrokenPipeError:
        return None
    line = process.stdout.readline()
    return json.loads(line) if line.endswith("\n") else None
