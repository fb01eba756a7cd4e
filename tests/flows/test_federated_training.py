"""One federation on the real Prefect and the real MLflow, and everything it leaves behind."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient, pyfunc, set_tracking_uri
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from federated.errors import DataError, UpdateError
from tests.conftest import Project

pytestmark = pytest.mark.slow
Train = Callable[..., Any]
OUTPUTS = ("model.safetensors", "metrics.json", "rounds.csv", "evaluation.json")


def outputs(project: Path, out: str = "reports") -> dict[str, bytes]:
    return {name: (project / out / name).read_bytes() for name in OUTPUTS}


def client(project: Path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{project / 'mlruns' / 'mlflow.db'}")


def runs(project: Path, experiment: str = "test") -> tuple[list[Run], list[Run]]:
    """(parent runs, nested runs), newest first."""
    mlflow = client(project)
    found = mlflow.get_experiment_by_name(experiment)
    assert found is not None
    every = mlflow.search_runs([found.experiment_id])
    nested = [r for r in every if "mlflow.parentRunId" in r.data.tags]
    return [r for r in every if r not in nested], nested


@pytest.fixture
def trained(make_project: Project, train: Train) -> Path:
    project = make_project()
    train(project)
    return project


def test_everything_a_user_looks_for_is_there(trained: Path) -> None:
    metrics = json.loads((trained / "reports/metrics.json").read_text())
    assert set(metrics["hospitals"]) == {"hospital-1", "hospital-2", "hospital-3"}
    assert metrics["run"]["rounds"] == 3
    assert metrics["baselines"]["alone"]["hospitals"].keys() == metrics["hospitals"].keys()
    with (trained / "reports/rounds.csv").open() as file:
        rounds = list(csv.DictReader(file))
    assert [r["round"] for r in rounds if r["hospital"] == "global"] == ["0", "1", "2", "3"]

    (parent,), nested = runs(trained)
    assert parent.info.status == "FINISHED"
    assert {r.info.status for r in nested} == {"FINISHED"}
    assert sorted(r.info.run_name or "" for r in nested) == sorted(metrics["hospitals"])
    assert parent.data.params["algorithm.local.lr"] == "0.05"
    assert parent.data.metrics["global/auroc"] == metrics["global"]["auroc"]
    worst = metrics["worst_hospital"]["auroc"]["value"]
    assert parent.data.metrics["worst_hospital/auroc"] == worst
    history = client(trained).get_metric_history(parent.info.run_id, "global/loss")
    assert [m.step for m in history] == [0, 1, 2, 3]
    assert {d.dataset.name: d.dataset.digest for d in parent.inputs.dataset_inputs} == (
        metrics["run"]["data"]
    )
    files = {a.path for a in client(trained).list_artifacts(parent.info.run_id, "rounds")}
    assert files == {f"rounds/{n:03d}" for n in range(4)}


def test_the_logged_model_scores_raw_rows(trained: Path) -> None:
    set_tracking_uri(f"sqlite:///{trained / 'mlruns' / 'mlflow.db'}")
    model = pyfunc.load_model("models:/tested@challenger")
    names = [c.name for c in model.metadata.get_input_schema().inputs]
    raw = pd.DataFrame(np.random.default_rng(0).normal(size=(50, len(names))), columns=names)
    raw.iloc[0, 0] = np.nan
    chances = model.predict(raw)
    assert chances.shape == (50, 2)
    assert np.isfinite(chances.to_numpy()).all()
    assert chances.sum(axis=1).to_numpy() == pytest.approx(np.ones(50), abs=1e-6)
    assert chances.to_numpy()[:, 1].std() > 0.01
    assert model.predict(raw[names[::-1]]).equals(chances)


def test_the_logged_model_is_the_runs_output_with_the_metrics_of_its_round(trained: Path) -> None:
    (parent,), _ = runs(trained)
    (output,) = parent.outputs.model_outputs
    model = client(trained).get_logged_model(output.model_id)
    assert (output.step, model.source_run_id) == (3, parent.info.run_id)
    found = {m.key: (m.value, m.step, m.run_id) for m in model.metrics}
    own = {k: v for k, v in parent.data.metrics.items() if not k.startswith("reference_")}
    assert found == {key: (value, 3, parent.info.run_id) for key, value in own.items()}


def test_the_same_settings_give_the_same_bytes(
    trained: Path, make_project: Project, train: Train
) -> None:
    again = make_project("again")
    train(again)
    assert outputs(again) == outputs(trained)
    train(trained, out="second")  # forced: the first run of these settings is finished
    assert outputs(trained, "second") == outputs(trained)
    parents, _ = runs(trained)
    assert len(parents) == 2


def test_threads_and_one_after_another_give_the_same_bytes(
    trained: Path, make_project: Project, train: Train
) -> None:
    sequential, threads = make_project("sequential"), make_project("threads")
    train(sequential, "run.parallel=false")
    train(threads, "engine.workers=3")
    assert outputs(sequential) == outputs(trained) == outputs(threads)


def test_worker_processes_give_the_same_bytes(
    trained: Path, make_project: Project, train: Train
) -> None:
    workers = make_project("workers")
    train(workers, "engine.name=workers", "engine.workers=2")
    assert outputs(workers) == outputs(trained)


def test_hospital_scaling_puts_every_hospitals_statistics_into_the_model(
    make_project: Project, train: Train
) -> None:
    project = make_project(data={"scaling": "hospital"})
    train(project)
    set_tracking_uri(f"sqlite:///{project / 'mlruns' / 'mlflow.db'}")
    model = pyfunc.load_model("models:/tested@challenger")
    names = [c.name for c in model.metadata.get_input_schema().inputs]
    assert names[0] == "hospital"
    rows = pd.DataFrame(0.5, index=range(2), columns=names[1:])
    rows.insert(0, "hospital", ["hospital-1", "hospital-2"])
    chances = model.predict(rows).to_numpy()
    assert chances[0, 1] != chances[1, 1]
    rows["hospital"] = "elsewhere"
    with pytest.raises(MlflowException, match=r"row 1, column 'hospital': 'elsewhere' is none of"):
        model.predict(rows)


def test_divergence_names_hospital_and_round_and_keeps_the_last_good_round(
    make_project: Project, train: Train
) -> None:
    project = make_project(
        model={"name": "mlp"}, algorithm={"local": {"lr": 1e12, "epochs": 4, "batch_size": 4}}
    )
    with pytest.raises(UpdateError, match=r"lower algorithm\.local\.lr") as stopped:
        train(project)
    assert f"hospital {stopped.value.hospital!r}, round {stopped.value.round}" in str(stopped.value)
    (parent,), nested = runs(project)
    assert {r.info.status for r in [parent, *nested]} == {"FAILED"}
    kept = client(project).list_artifacts(parent.info.run_id, "rounds")
    assert [a.path for a in kept] == [f"rounds/{n:03d}" for n in range(stopped.value.round)]


def test_a_changed_file_is_refused_by_name(trained: Path, train: Train) -> None:
    path = trained / "data/hospitals/hospital-2/records.safetensors"
    lock = {"stages": {"partition": {"outs": [{"path": str(path.relative_to(trained))}]}}}
    lock["stages"]["partition"]["outs"][0]["md5"] = "0" * 32
    (trained / "dvc.lock").write_text(json.dumps(lock))
    with pytest.raises(DataError, match=r"hospital-2/records.safetensors.*dvc.lock says 000"):
        train(trained)


def test_one_class_hospitals_train_and_are_counted_as_undefined(
    make_project: Project, train: Train
) -> None:
    table = pd.DataFrame(
        {"site": ["a"] * 40 + ["b"] * 40, "x": [*range(40)] * 2, "ill": [0, 1] * 20 + [1] * 40}
    )
    project = make_project(
        data={"dataset": "table", "source": {"path": "t.csv", "target": "ill", "hospital": "site"}}
    )
    table.to_csv(project / "t.csv", index=False)
    values = (project / "params.yaml").read_text()
    assert "hospitals: 3" in values
    (project / "params.yaml").write_text(
        values.replace("    hospitals: 3\n", "")
        .replace("    rows: 60\n", "")
        .replace("    features: 4\n", "")
    )
    found = train(project)
    assert found.hospitals["b"].auroc is None
    assert found.undefined["auroc"] == 1
    (parent,), _ = runs(project)
    assert parent.data.metrics["undefined_hospitals/auroc"] == 1


def test_the_best_run_is_found_by_its_worst_hospital(trained: Path, train: Train) -> None:
    train(trained, "algorithm.local.lr=0.0001", "run.name=too slow")
    (experiment,) = [e for e in client(trained).search_experiments() if e.name == "test"]
    best = client(trained).search_runs(
        [experiment.experiment_id],
        "metrics.`worst_hospital/auroc` > 0",
        order_by=["metrics.`worst_hospital/auroc` DESC"],
    )
    assert [r.info.run_name for r in best] == ["fedavg · logistic", "too slow"]


def test_more_hospitals_than_runs_are_one_file_and_quantiles(
    make_project: Project, train: Train
) -> None:
    project = make_project(run={"hospital_runs": 2, "baselines": []})
    train(project)
    parents, nested = runs(project)
    (parent,) = parents
    assert nested == []
    linked = {d.dataset.name for d in parent.inputs.dataset_inputs}
    assert linked == {"hospital-1", "hospital-2", "hospital-3"}
    assert json.loads(parent.data.tags["wardround.plug_ins"]).keys() >= {"models.logistic"}
    (path,) = (project / "mlruns").rglob("hospitals.parquet")
    table = pd.read_parquet(path)
    hospitals = [f"hospital-{i}" for i in (1, 2, 3)]
    for metric, first in (("loss", 0), ("train_loss", 1)):  # nobody trains in round 0
        found = table[table.metric == metric].sort_values(["round", "hospital"])
        assert found["hospital"].tolist() == hospitals * (4 - first)
        assert sorted(set(found["round"])) == list(range(first, 4))
    last = table[(table.metric == "loss") & (table["round"] == 3)]["value"]
    metrics = parent.data.metrics
    assert metrics["p50_hospital/loss"] == pytest.approx(last.median())
    assert metrics["worst_hospital/loss"] == pytest.approx(last.max())
    worst = parent.data.tags["wardround.worst_hospitals.auroc"]
    assert sorted(part.split()[0] for part in worst.split(", ")) == hospitals
