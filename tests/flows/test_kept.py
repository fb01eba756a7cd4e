"""The round that is kept, early stopping and hospitals' own models, through the real flow."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow import pyfunc, set_tracking_uri

from federated.errors import ConfigError
from tests.conftest import Project

Train = Callable[..., Any]


def rounds_of(project: Path) -> list[int]:
    with (project / "reports" / "rounds.csv").open() as file:
        return [int(r["round"]) for r in csv.DictReader(file) if r["hospital"] == "global"]


def facts(project: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((project / "reports" / "metrics.json").read_text())["run"]
    return found


def test_training_stops_when_patience_runs_out_and_the_best_round_is_the_result(
    make_project: Project, train: Train
) -> None:
    project = make_project(
        data={"validation_fraction": 0.2},
        # steps so large that the loss soon rises
        algorithm={"local": {"lr": 30.0, "epochs": 3, "batch_size": 4}},
        run={"rounds": 12, "patience": 2, "keep": "best", "baselines": []},
    )
    found = train(project)
    done = rounds_of(project)
    assert done[-1] < 12
    assert facts(project)["rounds"] == done[-1]
    assert facts(project)["kept"] == done[-1] - 2
    with (project / "reports" / "rounds.csv").open() as file:
        kept = next(
            r
            for r in csv.DictReader(file)
            if r["hospital"] == "global" and int(r["round"]) == facts(project)["kept"]
        )
    assert float(kept["loss"]) == found.overall["loss"]


def test_validation_rows_are_asked_for_before_anything_runs(
    make_project: Project, train: Train
) -> None:
    with pytest.raises(ConfigError, match=r"set data\.validation_fraction above 0"):
        train(make_project(), "run.keep=best")
    with pytest.raises(ConfigError, match=r"run\.best_by: no metric 'auc'; valid: auroc"):
        train(
            make_project("b", data={"validation_fraction": 0.2}), "run.keep=best", "run.best_by=auc"
        )


def test_finetuning_adds_a_round_and_every_hospital_is_exported_with_its_own_model(
    make_project: Project, train: Train
) -> None:
    project = make_project(algorithm={"name": "finetune"}, run={"baselines": []})
    train(project)
    assert rounds_of(project) == [0, 1, 2, 3, 4]
    assert facts(project)["kept"] == 4
    set_tracking_uri(f"sqlite:///{project / 'mlruns' / 'mlflow.db'}")
    model = pyfunc.load_model("models:/tested@challenger")
    names = [c.name for c in model.metadata.get_input_schema().inputs]
    assert names[0] == "hospital"
    rows = pd.DataFrame(np.full((4, len(names) - 1), 0.5), columns=names[1:])
    rows.insert(0, "hospital", ["hospital-1", "hospital-2", "hospital-3", "hospital-1"])
    chances = model.predict(rows).to_numpy()[:, 1]
    assert len({*chances}) == 3
    assert chances[0] == chances[3]


def test_too_few_hospitals_for_a_robust_rule_are_refused_before_the_first_round(
    make_project: Project, train: Train
) -> None:
    project = make_project(algorithm={"name": "krum", "aggregation": {"f": 1}})
    with pytest.raises(ConfigError, match="krum with f = 1 needs at least 5 updates, there are 3"):
        train(project)
    assert not (project / "mlruns" / "journals").exists()
