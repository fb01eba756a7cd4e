"""Real worker processes: one that dies costs its order alone, and none is left behind."""

import sys
import time
from pathlib import Path

import psutil
import pytest

from tasks.worker_pool import WorkerPool

WORKER = """
import json, os, sys, time
for line in sys.stdin:
    order = json.loads(line)
    if order == "die":
        os._exit(3)
    if order == "sleep":
        time.sleep(600)
    print(json.dumps({"square": order * order, "pid": os.getpid()}), flush=True)
"""


def pool(folder: Path, size: int) -> WorkerPool:
    return WorkerPool([sys.executable, "-c", WORKER], size, {}, folder)


def children() -> list[psutil.Process]:
    mine = psutil.Process().children(recursive=True)
    return [
        p for p in mine if p.status() != psutil.STATUS_ZOMBIE and "json.loads" in str(p.cmdline())
    ]


def test_every_order_is_answered_by_as_many_workers_as_asked_for(tmp_path: Path) -> None:
    with pool(tmp_path, 2) as workers:
        found = dict(workers.answers(range(8)))
    assert {i: a["square"] for i, a in found.items()} == {i: i * i for i in range(8)}
    assert 1 <= len({a["pid"] for a in found.values()}) <= 2
    assert children() == []


def test_a_worker_that_dies_costs_its_order_alone(tmp_path: Path) -> None:
    with pool(tmp_path, 1) as workers:
        found = dict(workers.answers([2, "die", 3]))
    assert (found[0]["square"], found[2]["square"]) == (4, 9)
    assert "its process ended with exit code 3" in found[1]["error"]
    assert "worker-1.log" in found[1]["error"]


def test_interrupting_ends_the_workers(tmp_path: Path) -> None:
    def interrupted() -> None:
        with pool(tmp_path, 2) as workers:
            for _ in workers.answers([1, "sleep", "sleep"]):
                raise KeyboardInterrupt

    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert time.monotonic() - begun < 120  # they would sleep for ten minutes
    assert children() == []
