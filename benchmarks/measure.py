"""One subject of a benchmark as a process of its own: seconds, memory of its whole tree, answer.

A subject prints one JSON line last: {"times": when each round ended, in seconds, "accuracy": of the
last round, "versions": {...}}. The product is timed by its journal instead.
"""

import json
import os
import statistics
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[1]
BENCH = ROOT / ".bench"
LOGS = BENCH / "logs"
_EVERY = 0.2
_COARSE = 0.05
_MEGABYTE = 1e6
QUIET = {
    "PYTHONPATH": str(ROOT),
    "OMP_NUM_THREADS": "1",
    "DO_NOT_TRACK": "1",
    "FLWR_TELEMETRY_ENABLED": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "TOKENIZERS_PARALLELISM": "false",
}


@dataclass(frozen=True)
class Run:
    """seconds: from the start of the process to its end. peak_mb: memory of the process and all its
    descendants, shared pages counted once. output: what it printed."""

    seconds: float
    peak_mb: float
    output: str


class SubjectError(RuntimeError):
    """A subject that ended with an error, with the end of its log."""


def run(
    command: Sequence[str],
    folder: Path,
    extra: Mapping[str, str] | None = None,
    timeout: float | None = None,
) -> Run:
    """Run a subject in `folder`. Raises SubjectError if it fails or takes over `timeout` s."""
    log = LOGS / f"{os.getpid()}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, **QUIET, **(extra or {})}
    begun = time.perf_counter()
    with log.open("wb") as errors:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=errors
        )
        with _Memory(process.pid) as memory:
            try:
                output = process.communicate(timeout=timeout)[0].decode(errors="replace")
            except subprocess.TimeoutExpired:
                end_tree(process.pid)
                raise SubjectError(f"{command[0]}: over {timeout:g} s") from None
        seconds = time.perf_counter() - begun
    if process.returncode:
        tail = (log.read_text(errors="replace") + output)[-1500:]
        raise SubjectError(f"{' '.join(command[:4])}: exit code {process.returncode}\n{tail}")
    return Run(seconds, memory.peak / _MEGABYTE, output)


@dataclass(frozen=True)
class Result:
    """A subject on a case. round_s: a steady round. whole_s: from the shell. accuracy: the last."""

    subject: str
    case: str
    round_s: float
    whole_s: float
    peak_mb: float
    accuracy: float
    rounds: int
    versions: dict[str, str]


def answered(subject: str, case: str, run: Run) -> Result:
    """The result of a subject that answers with one line of JSON."""
    found = answer(run.output)
    return Result(
        subject=subject,
        case=case,
        round_s=steady(found["times"]),
        whole_s=run.seconds,
        peak_mb=run.peak_mb,
        accuracy=found["accuracy"],
        rounds=len(found["times"]),
        versions=found["versions"],
    )


def answer(output: str) -> dict[str, Any]:
    """The JSON line that a subject printed last."""
    lines = [line for line in output.splitlines() if line.startswith("{")]
    if not lines:
        raise SubjectError(f"no answer among its output: {output[-500:]!r}")
    found: dict[str, Any] = json.loads(lines[-1])
    return found


def steady(times: Sequence[float]) -> float:
    """Seconds of a steady round, from when each round ended: over the later half of the rounds.

    The median of the differences; their mean where rounds are too short for the journal's clock,
    which counts milliseconds.
    """
    later = list(times)[-(len(times) // 2 + 1) :]
    differences = [after - before for before, after in pairwise(later)]
    mean = statistics.fmean(differences)
    return mean if mean < _COARSE else statistics.median(differences)


def end_tree(pid: int) -> None:
    """Kill a process and all its descendants."""
    try:
        whole = psutil.Process(pid).children(recursive=True)
        whole.append(psutil.Process(pid))
    except psutil.NoSuchProcess:
        return
    for process in whole:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue


class _Memory:
    """Samples the memory of a process tree in a thread; `peak` in bytes."""

    def __init__(self, pid: int) -> None:
        self.peak = 0
        self._root = psutil.Process(pid)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "_Memory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(_EVERY):
            self.peak = max(self.peak, tree_bytes(self._root))


def tree_bytes(root: psutil.Process) -> int:
    """Proportional set size of a process and its descendants, in bytes."""
    total = 0
    try:
        processes = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    for process in processes:
        try:
            total += process.memory_full_info().pss
        except (psutil.NoSuchProcess, psutil.AccessDenied, ProcessLookupError):
            continue  # it has just ended
    return total
