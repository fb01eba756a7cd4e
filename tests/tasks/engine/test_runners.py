"""The flow on Prefect's other task runners, real ones: final bytes as in threads."""

import importlib.util
import os
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Project

pytestmark = pytest.mark.slow
Train = Callable[..., Any]
OUTPUTS = ("model.safetensors", "metrics.json", "rounds.csv", "evaluation.json")
PARTIAL = ("algorithm.selection.name=uniform", "algorithm.selection.fraction=0.67")
FEDAVG = ("run.rounds=8", *PARTIAL)
SCAFFOLD = ("algorithm.name=scaffold", *PARTIAL)


def outputs(project: Path) -> dict[str, bytes]:
    return {name: (project / "reports" / name).read_bytes() for name in OUTPUTS}


@pytest.fixture(scope="module")
def known() -> dict[tuple[str, ...], dict[str, bytes]]:
    """What threads end with, by rules."""
    return {}


@pytest.fixture
def same(
    make_project: Project, train: Train, known: dict[tuple[str, ...], dict[str, bytes]]
) -> Callable[..., None]:
    """Asserts that a runner ends with the bytes that threads end with."""

    def compare(project: Path, rules: tuple[str, ...], *runner: str) -> None:
        if rules not in known:
            threads = make_project("threads")
            train(threads, "run.baselines=[]", *rules)
            known[rules] = outputs(threads)
        train(project, "run.baselines=[]", *rules, *runner)
        assert outputs(project) == known[rules]

    return compare


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A Dask cluster of two worker processes that runs already."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0", host="127.0.0.1"
    ) as cluster:
        yield cluster


@pytest.fixture
def scheduler(cluster: Any) -> tuple[str, str]:
    """Settings with which a run goes there."""
    return ("engine.runner=dask", f"engine.address={cluster.scheduler_address}")


def test_a_running_dask_cluster_gives_the_same_bytes_though_a_worker_is_killed(
    make_project: Project, same: Callable[..., None], cluster: Any, scheduler: tuple[str, str]
) -> None:
    project = make_project("runner")
    with ThreadPoolExecutor(1) as threads:
        killed = threads.submit(kill_one, cluster, project)
        same(project, FEDAVG, *scheduler)
        assert 1 <= killed.result(timeout=300) < 9


def test_a_rounds_weights_outlive_the_only_worker_that_has_them(cluster: Any) -> None:
    distributed = pytest.importorskip("distributed")
    from tasks.engine.on_dask import Kept

    with distributed.Client(cluster) as client:
        ticket: Any = Kept(client).put(b"weights")
        while not (holders := client.who_has().get(ticket.key)):
            time.sleep(0.02)
        pids = client.run(os.getpid)
        (other,) = set(pids) - set(holders)
        os.kill(pids[holders[0]], signal.SIGKILL)
        while holders[0] in client.who_has().get(ticket.key, ()):
            time.sleep(0.02)  # whoever asks it before the scheduler knows waits for 30 s
        read = client.submit(ticket.read, workers=[other], pure=False)
        assert read.result(timeout=120) == b"weights"


def kill_one(cluster: Any, project: Path) -> int:
    """Kill a worker once a round is in the journal; the rounds that were."""
    until = time.monotonic() + 300
    while not (found := committed(project)):
        assert time.monotonic() < until, "no round within five minutes"
        time.sleep(0.02)
    os.kill(next(iter(cluster.workers.values())).pid, signal.SIGKILL)
    return found


def committed(project: Path) -> int:
    """Rounds in the project's journal."""
    for path in (project / "mlruns" / "journals").glob("*/journal.db"):
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as journal:
            try:
                return int(journal.execute("SELECT count(*) FROM rounds").fetchone()[0])
            except sqlite3.OperationalError:  # its table is not made yet
                return 0
    return 0


@pytest.mark.parametrize("runner", ["processes", "dask", "ray"])
def test_two_workers_of_ones_own_give_the_same_bytes(
    make_project: Project, same: Callable[..., None], runner: str
) -> None:
    if runner != "processes" and importlib.util.find_spec(f"prefect_{runner}") is None:
        pytest.skip(f"the extra wardround[{runner}] is not installed")
    same(make_project("runner"), SCAFFOLD, f"engine.runner={runner}", "engine.workers=2")
