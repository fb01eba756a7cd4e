"""Every algorithm trains, is killed after its first round, and ends with the bytes of one that
was not: its state at the coordinator and at each hospital is in the journal."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from federated.algorithm import PRESETS
from federated.config import load
from tasks.job import load_job
from tests.conftest import ROOT, SMALL, merged
from tests.flows.aftermath import OUTPUTS, is_finished, sha256
from tests.flows.killing import KILLED, Lane, Lanes, lanes

pytestmark = pytest.mark.slow
RUN = {"rounds": 2, "baselines": [], "registered_model": False}
TABLE = {
    "data": {"source": {"hospitals": 5, "rows": 30}},
    "model": {"name": "mlp", "hidden": [4], "norm": "batch", "dropout": 0.2},
    "run": RUN,
}
IMAGES = {
    "data": {
        "dataset": "medmnist",
        "source": {"name": "pneumoniamnist", "path": "images.npz"},
        "partition": {"name": "iid", "hospitals": 5},
    },
    "model": {"name": "cnn"},
    "run": RUN,
}
MODELS = {"fedbn": {"name": "resnet", "width": 4, "blocks": 2}}  # the tutorial's CNN has no norm


def archive(path: Path) -> None:
    """A made-up MedMNIST archive of 100 images."""
    drawn = np.random.default_rng(0)
    parts: dict[str, Any] = {}
    for part, count in (("train", 60), ("val", 20), ("test", 20)):
        labels = drawn.integers(0, 2, (count, 1))
        noise = drawn.integers(0, 150, (count, 28, 28))
        parts[f"{part}_images"] = (noise + 100 * labels[:, :, None]).astype(np.uint8)
        parts[f"{part}_labels"] = labels.astype(np.uint8)
    np.savez(path, **parts)


@pytest.fixture
def small_job(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    migrated_database: Path,
    prefect_url: str,
) -> Iterator[Lanes]:
    """Processes that fork runs of a small job, whose data lie ready."""
    folder = tmp_path_factory.mktemp("algorithms")
    template = folder / "template"
    (template / "mlruns").mkdir(parents=True)
    shutil.copy(migrated_database, template / "mlruns" / "mlflow.db")
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    if request.param is TABLE:
        values = merged(values, SMALL)
    values = merged(values, {**request.param, "data": {**request.param["data"], "hospitals": []}})
    values["data"]["min_rows"] = 5
    (template / "params.yaml").write_text(yaml.safe_dump(values))
    archive(template / "images.npz")
    load_job(load(template / "params.yaml"), template)
    with lanes(template, folder / "scratch", prefect_url) as ready:
        yield ready


def prepared(jobs: Lanes, name: str, algorithm: str) -> Path:
    """A fresh project that trains by `algorithm`."""
    project = jobs.fresh(name)
    values = yaml.safe_load((project / "params.yaml").read_text())
    values["algorithm"]["name"] = algorithm
    if values["model"]["name"] == "cnn":
        values["model"] = MODELS.get(algorithm, values["model"])
    (project / "params.yaml").write_text(yaml.safe_dump(values))
    return project


def outputs(project: Path) -> dict[str, str]:
    return {name: sha256(project / "reports" / name) for name in OUTPUTS}


@pytest.mark.parametrize("small_job", [IMAGES], ids=["cnn"], indirect=True)
def test_every_algorithm_trains_on_images(small_job: Lanes) -> None:
    def check(lane: Lane, algorithm: str) -> list[str]:
        project = prepared(small_job, algorithm, algorithm)
        code, _ = lane.run(project)
        return [] if code == 0 else [(project / "run.log").read_text()[-2000:]]

    assert small_job.each(sorted(PRESETS), check) == []


@pytest.mark.parametrize("small_job", [TABLE], ids=["mlp"], indirect=True)
def test_every_algorithm_resumes_to_the_same_bytes(small_job: Lanes) -> None:
    def check(lane: Lane, algorithm: str) -> list[str]:
        whole = prepared(small_job, f"{algorithm}-whole", algorithm)
        code, _ = lane.run(whole)
        if code != 0:
            return [(whole / "run.log").read_text()[-2000:]]
        killed = prepared(small_job, f"{algorithm}-killed", algorithm)
        code, _ = lane.run(killed, at="after commit of rounds 1")
        assert (code, is_finished(killed)) == (KILLED, False)
        lane.run(killed)
        return [] if outputs(killed) == outputs(whole) else ["ends with other bytes"]

    assert small_job.each(sorted(PRESETS), check) == []
