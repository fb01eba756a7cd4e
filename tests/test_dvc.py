"""The real pipeline: `dvc repro` in a project of its own, with an empty cache."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT
from tests.wardround.command import alter, environment, heart_project, wardround

pytestmark = pytest.mark.slow
HOSPITALS = ("cleveland", "hungary", "switzerland", "va")
CODE = ("federated", "models", "tasks")
SAME = ("model.safetensors", "metrics.json", "rounds.csv")


def run(project: Path, program: str | Path, *arguments: str) -> str:
    """Run DVC or git to its end; what it printed."""
    done = subprocess.run(
        [program, *arguments],
        cwd=project,
        env=environment(PREFECT_HOME=str(project / ".prefect")),
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def dvc(project: Path, *arguments: str) -> str:
    return run(project, Path(sys.executable).with_name("dvc"), *arguments)


def git(project: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=Test", "-c", "user.email=test@localhost")
    return run(project, "git", *identity, *arguments)


def ran(output: str) -> set[str]:
    """Stages that were run, not skipped."""
    return {line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage")}


def outputs(project: Path) -> list[bytes]:
    return [(project / "reports" / name).read_bytes() for name in SAME]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in git whose pipeline ran once: two rounds, no baselines."""
    made = heart_project(tmp_path_factory.mktemp("dvc") / "project")
    for name in ("dvc.yaml", ".dvcignore", ".gitignore"):
        shutil.copy(ROOT / name, made)
    for name in CODE:
        shutil.copytree(ROOT / name, made / name, ignore=shutil.ignore_patterns("__pycache__"))
    values = yaml.safe_load((made / "params.yaml").read_text())
    values["run"] |= {"rounds": 2, "baselines": []}
    (made / "params.yaml").write_text(yaml.safe_dump(values))
    git(made, "init", "-q")
    dvc(made, "init", "-q")
    shutil.copytree(ROOT / ".dvc" / "plots", made / ".dvc" / "plots")
    first = ran(dvc(made, "repro"))
    assert first == {"prepare", "train", "report", *(f"partition@{h}" for h in HOSPITALS)}
    git(made, "add", "--all")
    git(made, "commit", "-q", "-m", "first")
    return made


@pytest.fixture
def project(finished: Path, tmp_path: Path) -> Path:
    return shutil.copytree(finished, tmp_path / "project")


def test_a_second_run_does_nothing_and_a_forced_one_gives_the_same_bytes(project: Path) -> None:
    assert "up to date" in dvc(project, "repro")
    before = outputs(project)
    assert "report" in ran(dvc(project, "repro", "--force"))
    assert outputs(project) == before
    assert git(project, "status", "--short") == ""


def test_one_changed_extract_runs_that_hospital_and_the_training(project: Path) -> None:
    before = outputs(project)
    alter(project, "hungary", "age", "41")
    assert ran(dvc(project, "repro")) == {"prepare", "partition@hungary", "train", "report"}
    assert outputs(project) != before
    assert "hospitals.hungary.loss" in dvc(project, "metrics", "diff")


def test_changed_code_of_the_model_trains_again(project: Path) -> None:
    assert json.loads(dvc(project, "status", "--json")) == {}
    with (project / "models" / "logistic.py").open("a") as file:
        file.write("# changed\n")
    changed = json.loads(dvc(project, "status", "--json"))
    assert changed == {"train": [{"changed deps": {"models": "modified"}}]}


def test_metrics_plots_and_experiments(project: Path) -> None:
    assert "auroc" in dvc(project, "metrics", "show")
    page = dvc(project, "plots", "show").strip().removeprefix("file://")
    assert '"field": "hospital"' in Path(page).read_text()
    dvc(project, "exp", "run", "--name", "local", "-S", "algorithm.name=local_sgd")
    assert yaml.safe_load((project / "params.yaml").read_text())["algorithm"]["name"] == "local_sgd"
    assert "local_sgd" in dvc(project, "exp", "diff", "HEAD", "local", "--param-deps")


def test_a_flipped_byte_is_refused_with_its_hospital(project: Path) -> None:
    path = project / "data" / "hospitals" / "hungary" / "records.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)
    done = wardround(project, "train", PREFECT_HOME=str(project / ".prefect"))
    assert done.returncode != 0
    assert "hungary" in done.stderr
    assert "dvc.lock" in done.stderr
