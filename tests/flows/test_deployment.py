"""Hospitals at their own sites: real processes, messages through a real Prefect server."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Project
from tests.flows.federation import federation

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("algorithm", ["fedavg", "scaffold"])
def test_the_final_weights_are_the_simulations(
    algorithm: str,
    make_project: Project,
    train: Callable[..., Any],
    prefect_url: str,
    tmp_path: Path,
) -> None:
    settings = {"algorithm": {"name": algorithm}, "run": {"baselines": []}}
    simulated, project = make_project("simulated", **settings), make_project("project", **settings)
    train(simulated)
    (hospitals,) = simulated.glob("data/**/hospitals")
    with federation(tmp_path, project, prefect_url, hospitals, deadline_s=60, join_s=60) as ours:
        for hospital in ours.sites:
            ours.join(hospital)
        time.sleep(12)
        begun = time.monotonic()
        run = ours.begin()
        code = run.wait(timeout=120)
        print("seconds", time.monotonic() - begun)
        print(ours.log("coordinator"))
        for hospital in ours.sites:
            print(ours.log(hospital))
        assert code == 0
    assert (project / "reports/model.safetensors").read_bytes() == (
        simulated / "reports/model.safetensors"
    ).read_bytes()
