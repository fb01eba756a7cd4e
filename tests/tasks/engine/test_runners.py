"""The flow on Prefect's other task runners: final bytes as in threads."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Project

pytestmark = pytest.mark.slow
Train = Callable[..., Any]
OUTPUTS = ("model.safetensors", "metrics.json", "rounds.csv", "evaluation.json")


def outputs(project: Path, out: str = "reports") -> dict[str, bytes]:
    return {name: (project / out / name).read_bytes() for name in OUTPUTS}


@pytest.mark.parametrize("runner", ["processes", "dask"])
def test_the_same_bytes(make_project: Project, train: Train, runner: str) -> None:
    own = ["algorithm.name=scaffold", "run.baselines=[]"]
    one, other = make_project("one"), make_project("other")
    train(one, *own)
    train(other, *own, f"engine.runner={runner}", "engine.workers=2")
    assert outputs(one) == outputs(other)
