"""The flow on Prefect's other task runners, real ones: final bytes as in threads."""

import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Project

pytestmark = pytest.mark.slow
Train = Callable[..., Any]
OUTPUTS = ("model.safetensors", "metrics.json", "rounds.csv", "evaluation.json")
PARTIAL = ("algorithm.selection.name=uniform", "algorithm.selection.fraction=0.67")
SCAFFOLD = ("algorithm.name=scaffold", *PARTIAL)


def outputs(project: Path) -> dict[str, bytes]:
    return {name: (project / "reports" / name).read_bytes() for name in OUTPUTS}


def same(make: Project, train: Train, rules: tuple[str, ...], *runner: str) -> bool:
    """Does the runner end with the bytes that threads end with?"""
    one, other = make("threads"), make("runner")
    train(one, "run.baselines=[]", *rules)
    train(other, "run.baselines=[]", *rules, *runner)
    return outputs(one) == outputs(other)


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """The address of a Dask cluster of two worker processes that runs already."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0", host="127.0.0.1"
    ) as cluster:
        yield cluster.scheduler_address


@pytest.mark.parametrize("rules", [PARTIAL, SCAFFOLD], ids=["fedavg", "scaffold"])
def test_a_running_dask_cluster_gives_the_same_bytes(
    make_project: Project, train: Train, scheduler: str, rules: tuple[str, ...]
) -> None:
    runner = ("engine.runner=dask", f"engine.address={scheduler}")
    assert same(make_project, train, rules, *runner)


@pytest.mark.parametrize("runner", ["processes", "dask", "ray"])
def test_two_workers_of_ones_own_give_the_same_bytes(
    make_project: Project, train: Train, runner: str
) -> None:
    if runner != "processes" and importlib.util.find_spec(f"prefect_{runner}") is None:
        pytest.skip(f"the extra wardround[{runner}] is not installed")
    own = (f"engine.runner={runner}", "engine.workers=2")
    assert same(make_project, train, SCAFFOLD, *own)
