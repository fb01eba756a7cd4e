"""A real study: killed with `kill -9`, begun again, and every run is there once."""

import csv
import json
import signal
from pathlib import Path

import psutil
import pytest
from mlflow import MlflowClient

from federated.study import read_study
from tasks.study_plan import RUN_FILE, plan, read_plan_of
from tasks.study_results import finished
from tasks.tracked_runs import tracked_results
from tests.conftest import Project
from tests.wardround.command import wardround
from tests.wardround.process import family, running

pytestmark = pytest.mark.slow
STUDY = """
name: small
base: {run.rounds: 6}
seeds: [1, 2]
settings:
  fedavg: {algorithm.local.lr: 0.5}
  wild: {algorithm.local.lr: 1e30}
  local: {algorithm.name: local_sgd}
target: {metric: loss, value: 10}
"""


def uri(project: Path) -> str:
    return f"sqlite:///{project}/mlruns/mlflow.db"


def tracked(project: Path) -> list[tuple[str, str, str]]:
    """(setting, seed, status) of every federation in the study's experiment."""
    client = MlflowClient(uri(project))
    experiment = client.get_experiment_by_name("small")
    assert experiment is not None
    return sorted(
        (tags["wardround.setting"], tags["wardround.seed"], run.info.status)
        for run in client.search_runs([experiment.experiment_id])
        if (tags := run.data.tags).get("wardround.study") == "small"
    )


def done(project: Path) -> int:
    return len([*(project / "reports/studies/small").glob(f"*/*/{RUN_FILE}")])


@pytest.fixture
def project(make_project: Project) -> Path:
    made = make_project()
    (made / "study.yaml").write_text(STUDY)
    return made


def test_a_killed_study_goes_on_and_runs_nothing_twice(
    project: Path,
) -> None:
    home = {"PREFECT_HOME": str(project / ".prefect")}  # and a temporary server of its own
    with running(project, "study", "study.yaml", "--jobs", "2", **home) as study:
        study.wait_until(lambda: done(project) >= 1, 120)
        workers = [one for one in family(study.process.pid) if "study_worker" in str(one.cmdline())]
        study.process.send_signal(signal.SIGKILL)
        study.process.wait(timeout=120)
        assert len(workers) == 2
        _, alive = psutil.wait_procs(workers, timeout=120)
        assert alive == []  # workers end when nobody orders from them any more
    before = {p: p.read_bytes() for p in project.glob(f"reports/studies/small/*/*/{RUN_FILE}")}
    again = wardround(project, "study", "study.yaml", "--jobs", "2", **home)

    assert again.returncode == 1
    assert "failed: wild · seed 1: round 1: " in again.stderr
    assert "failed: wild · seed 2: round 1: " in again.stderr
    assert "Traceback" not in again.stderr
    assert "of 6 runs are done already" in again.stderr
    assert before.items() <= {p: p.read_bytes() for p in before}.items()
    runs = [(setting, seed) for setting, seed, _ in tracked(project)]
    assert len(runs) == len(set(runs)) == 6
    assert [status for setting, _, status in tracked(project) if setting != "wild"] == [
        "FINISHED"
    ] * 4
    check_results(project)


def check_results(project: Path) -> None:
    """The table, the runs' files and MLflow tell the same."""
    folder = project / "reports" / "studies" / "small"
    with (folder / "study.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["setting"], row["seed"]) for row in rows] == [
        ("fedavg", "1"),
        ("fedavg", "2"),
        ("local", "1"),
        ("local", "2"),
    ]
    for row in rows:
        metrics = json.loads(
            (folder / row["setting"] / f"seed-{row['seed']}" / "metrics.json").read_text()
        )
        assert float(row["auroc"]) == metrics["global"]["auroc"]
        assert float(row["worst_hospital_loss"]) == metrics["worst_hospital"]["loss"]["value"]
        hospitals = [own["accuracy"] for own in metrics["hospitals"].values()]
        assert float(row["mean_hospital_accuracy"]) == pytest.approx(sum(hospitals) / 3)
        assert metrics["run"]["seed"] == int(row["seed"])
        assert row["rounds_to_target"] == "0"
    assert "seconds" not in rows[0]
    assert (folder / "timings.csv").read_text().startswith("setting,seed,seconds\n")
    assert "too few seeds" in (folder / "compare.html").read_text()

    study, runs = read_plan_of(folder)
    ours = {(r.setting, r.seed): r for r in finished(folder, study, runs)}
    theirs = tracked_results(uri(project), ["fedavg", "local"], "small", study.metrics)
    assert {(r.setting, r.seed) for r in theirs} == {*ours}
    for one in theirs:
        assert one.final == pytest.approx(ours[one.setting, one.seed].final)
        assert one.curves["auroc"] == ours[one.setting, one.seed].curves["auroc"]

    file = project / "study.yaml"
    planned = plan(read_study(file), file, project)
    assert {r.run.label for r in planned.runs if r.done is None} == {
        "wild · seed 1",
        "wild · seed 2",
    }
    client = MlflowClient(uri(project))
    experiment = client.get_experiment_by_name("small")
    assert experiment is not None
    known = {
        run.info.run_name: run.data.tags["wardround.fingerprint"]
        for run in client.search_runs([experiment.experiment_id])
        if "wardround.study" in run.data.tags
    }
    assert known == {r.run.label: r.identity.fingerprint for r in planned.runs}
