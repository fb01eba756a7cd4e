"""The real pipeline: `dvc repro` in a project of its own, with an empty cache."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT
from tests.wardround.command import alter, environment, heart_project

pytestmark = pytest.mark.slow
SAME = ("model.safetensors", "metrics.json", "rounds.csv")


def dvc(project: Path, *arguments: str) -> str:
    """Run DVC; its output."""
    done = subprocess.run(
        [Path(sys.executable).with_name("dvc"), *arguments],
        cwd=project,
        env=environment(PREFECT_HOME=str(project / ".prefect")),
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def ran(output: str) -> set[str]:
    """Stages that were run, not skipped."""
    return {line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage")}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    made = heart_project(tmp_path / "project")
    shutil.copy(ROOT / "dvc.yaml", made)
    values = yaml.safe_load((made / "params.yaml").read_text())
    values["run"] |= {"rounds": 2, "baselines": []}
    (made / "params.yaml").write_text(yaml.safe_dump(values))
    dvc(made, "init", "--no-scm", "-q")
    return made


def outputs(project: Path) -> list[bytes]:
    return [(project / "reports" / name).read_bytes() for name in SAME]


def test_the_pipeline_runs_what_changed_and_gives_the_same_bytes(project: Path) -> None:
    hospitals = ("cleveland", "hungary", "switzerland", "va")
    first = ran(dvc(project, "repro"))
    assert first == {"prepare", "train", "report", *(f"partition@{h}" for h in hospitals)}
    assert "up to date" in dvc(project, "repro")
    assert "auroc" in dvc(project, "metrics", "show")
    before = outputs(project)
    dvc(project, "repro", "--force", "--single-item", "train")
    assert outputs(project) == before
    alter(project, "hungary", "age", "41")
    assert ran(dvc(project, "repro")) == {"prepare", "partition@hungary", "train", "report"}
    assert outputs(project) != before
