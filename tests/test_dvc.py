"""The real pipeline: `dvc repro` in a project of its own, with an empty cache."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from mlflow import MlflowClient

from tasks.relocation import relocate
from tests.conftest import ROOT
from tests.wardround.command import RAW, alter, environment, heart_project, wardround

pytestmark = pytest.mark.slow
HOSPITALS = ("cleveland", "hungary", "switzerland", "va")
CODE = ("federated", "models", "tasks")
DVC = Path(sys.executable).with_name("dvc")
SAME = ("model.safetensors", "metrics.json", "rounds.csv")


def attempt(
    project: Path, program: str | Path, *arguments: str
) -> subprocess.CompletedProcess[str]:
    """Run DVC or git to its end."""
    return subprocess.run(
        [program, *arguments],
        cwd=project,
        env=environment(PREFECT_HOME=str(project / ".prefect")),
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )


def run(project: Path, program: str | Path, *arguments: str) -> str:
    """Run DVC or git to its end; what it printed."""
    done = attempt(project, program, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def dvc(project: Path, *arguments: str) -> str:
    return run(project, DVC, *arguments)


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
    copy: Path = shutil.copytree(finished, tmp_path / "project")
    relocate(copy)
    return copy


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


def train(project: Path, *arguments: str) -> str:
    """`wardround train` by hand; what it told."""
    home = str(project / ".prefect")
    done = wardround(project, "train", "--no-report", *arguments, PREFECT_HOME=home)
    assert done.returncode == 0, done.stderr
    return done.stderr


def locked(project: Path) -> dict[str, str]:
    """Hospital → md5 of its records in dvc.lock."""
    stages = yaml.safe_load((project / "dvc.lock").read_text())["stages"]
    found = {out["path"]: out["md5"] for h in HOSPITALS for out in stages[f"partition@{h}"]["outs"]}
    return {h: found[f"data/hospitals/{h}/records.safetensors"] for h in HOSPITALS}


def configure(project: Path, **changes: object) -> None:
    values = yaml.safe_load((project / "params.yaml").read_text())
    values["data"] |= changes
    (project / "params.yaml").write_text(yaml.safe_dump(values))


def trained_on(project: Path) -> dict[str, str]:
    """Hospital → md5 of the records of the last run."""
    found: dict[str, str] = json.loads((project / "reports/metrics.json").read_text())["run"][
        "data"
    ]
    return found


def test_training_lets_dvc_make_what_changed_and_nothing_else(project: Path) -> None:
    before = locked(project)
    alter(project, "hungary", "age", "41")
    told = train(project)
    changed = "data/raw/heart_disease.csv changed; made by `dvc repro partition`"
    assert f"note: data/hospitals: {changed}" in told
    after = locked(project)
    assert {h for h in HOSPITALS if after[h] != before[h]} == {"hungary"}
    assert trained_on(project) == after
    assert not json.loads(dvc(project, "status", "--json", "prepare", "partition"))
    configure(project, seed=7)
    assert "data.seed changed; made by `dvc repro partition`" in train(project)
    assert trained_on(project) == locked(project) != after
    assert "made by" not in train(project)


def test_a_hospital_that_left_takes_no_part(project: Path) -> None:
    path = project / RAW
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if not line.startswith("va,")))
    configure(project, hospitals=["cleveland", "hungary", "switzerland"])
    assert {"prepare", "train"} <= ran(dvc(project, "repro"))
    assert set(trained_on(project)) == {"cleveland", "hungary", "switzerland"}
    path.write_text("".join(lines))
    configure(project, hospitals=[*HOSPITALS])
    assert "data.hospitals" in train(project)
    assert set(trained_on(project)) == {*HOSPITALS}


def test_a_file_that_dvc_would_not_see_change_is_refused(project: Path) -> None:
    shutil.copy(project / RAW, project / "data/raw/mine.csv")
    configure(project, source={"path": "data/raw/mine.csv"})
    done = attempt(project, DVC, "repro", "prepare")
    assert done.returncode != 0
    assert "stages.prepare.deps does not name data/raw/mine.csv" in done.stderr


def test_a_stale_stage_that_runs_alone_is_refused(project: Path) -> None:
    """DVC runs `train`, so that it cannot be called: the command is named."""
    alter(project, "hungary", "age", "41")
    done = attempt(project, DVC, "repro", "--force", "--single-item", "train")
    assert done.returncode != 0
    assert "data/raw/heart_disease.csv changed" in done.stderr
    assert "run `dvc repro partition` first" in done.stderr


def journals(project: Path) -> set[str]:
    return {path.name for path in (project / "mlruns/journals").iterdir() if path.is_dir()}


@pytest.mark.parametrize("how", ["--temp", "--queue"])
def test_runs_in_dvcs_copies_are_kept_in_the_project(project: Path, how: str) -> None:
    """DVC removes the copy; journal and MLflow of the run are the project's."""
    before = journals(project)
    dvc(project, "exp", "run", how, "--name", "other", "-S", "algorithm.name=local_sgd")
    if how == "--queue":
        dvc(project, "exp", "run", "--run-all")
    assert len(journals(project) - before) == 1
    client = MlflowClient(f"sqlite:///{project}/mlruns/mlflow.db")
    everywhere = [one.experiment_id for one in client.search_experiments()]
    (run,) = client.search_runs(everywhere, "params.`algorithm.name` = 'local_sgd'")
    assert run.info.status == "FINISHED"
    assert run.info.artifact_uri.startswith((project / "mlruns/artifacts").as_uri())
    assert client.list_artifacts(run.info.run_id)
