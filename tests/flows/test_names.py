"""Hospitals and classes called as numbers are texts through a whole run, and in its model."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient, pyfunc, set_tracking_uri

from federated.sections import read_yaml, write_yaml
from tests.conftest import Project

pytestmark = pytest.mark.slow
Train = Callable[..., Any]
HOSPITALS, CLASSES, WARDS = ("0e0", "1e5", "no"), ("0e0", "1e5"), ("042", "1e1", "yes")


def test_names_like_numbers_are_texts_everywhere(make_project: Project, train: Train) -> None:
    project = make_project()
    drawn, rows = np.random.default_rng(0), 120
    frame = pd.DataFrame(
        {
            "site": np.tile(HOSPITALS, rows // 3),
            "1e3": drawn.normal(size=rows),
            "ward": drawn.choice(WARDS, rows),
            "out": drawn.choice(CLASSES, rows),
        }
    )
    frame.to_csv(project / "mine.csv", index=False)
    source = {"path": "mine.csv", "target": "out", "hospital": "site", "positive": "1e5"}
    kinds = {"numeric": ["1e3"], "categorical": ["ward"]}
    params = project / "params.yaml"
    values = read_yaml(params.read_text())
    values["data"] |= {"dataset": "table", "source": source | kinds, "hospitals": [*HOSPITALS]}
    values["data"]["scaling"] = "hospital"
    params.write_text(write_yaml(values))
    train(project)

    metrics = json.loads((project / "reports/metrics.json").read_text())
    assert set(metrics["hospitals"]) == {*HOSPITALS}
    in_rounds = pd.read_csv(project / "reports/rounds.csv", dtype=str, keep_default_na=False)
    assert {*in_rounds["hospital"]} == {*HOSPITALS, "global"}
    page = (project / "reports/report.html").read_text()
    assert all(name in page for name in HOSPITALS)
    uri = f"sqlite:///{project / 'mlruns' / 'mlflow.db'}"
    runs = MlflowClient(uri).search_runs(["1"])
    assert {run.info.run_name for run in runs} >= {*HOSPITALS}
    before = (project / "reports/metrics.json").read_bytes()
    train(project)  # from the journal
    assert (project / "reports/metrics.json").read_bytes() == before

    set_tracking_uri(uri)
    model = pyfunc.load_model("models:/tested@challenger")
    found = model.predict(pd.read_csv(project / "mine.csv", dtype=str))
    assert len(found) == rows
    assert [column for column in map(str, found.columns) if column in CLASSES] == [*CLASSES]
