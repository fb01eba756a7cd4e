"""Each kind of question through the real flow: figures, page, and a model that scores raw rows."""

import csv
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient, pyfunc, set_tracking_uri

from tests.conftest import Project

pytestmark = pytest.mark.slow
FEATURES = ["x1", "x2", "x3", "x4"]


@pytest.mark.parametrize(
    ("question", "kind", "headline", "columns"),
    [
        ("value", "regression", "r2", ["outcome"]),
        ("labels", "multilabel", "auroc", ["a", "b", "c"]),
        ("survival", "survival", "c_index", ["relative_risk"]),
    ],
)
def test_a_question_from_data_to_registered_model(
    make_project: Project,
    train: Callable[..., Any],
    question: str,
    kind: str,
    headline: str,
    columns: list[str],
) -> None:
    project = make_project(
        data={"source": {"question": question, "rows": 90}},
        algorithm={"local": {"lr": 0.1, "epochs": 3, "batch_size": None}},
        run={"rounds": 4, "baselines": ["alone", "pooled"] if kind == "survival" else []},
    )
    found = train(project)
    figures = json.loads((project / "reports/metrics.json").read_text())
    assert figures["run"]["objective"] == kind
    assert figures["global"][headline] == found.overall[headline]
    with (project / "reports/rounds.csv").open() as file:
        rounds = [row for row in csv.DictReader(file) if row["hospital"] == "global"]
    before, after = (float(rounds[i][headline]) for i in (0, -1))
    assert after > max(before, 0.3)  # the scores come from a linear model: it can be learnt
    assert float(rounds[-1]["loss"]) < float(rounds[0]["loss"])
    page = (project / "reports/report.html").read_text()
    assert found.reading.headline.label in page
    assert ("Calibration" in page) == (kind == "multilabel")

    set_tracking_uri(f"sqlite:///{project / 'mlruns' / 'mlflow.db'}")
    model = pyfunc.load_model("models:/tested@challenger")
    raw = pd.DataFrame(np.random.default_rng(0).normal(size=(20, 4)), columns=FEATURES)
    raw.iloc[0, 0] = np.nan
    answers = model.predict(raw)
    assert list(answers.columns) == columns
    assert answers.shape == (20, len(columns))
    assert np.isfinite(answers.to_numpy()).all()
    assert (answers.to_numpy() > 0).all() == (kind != "regression")
    (run,) = MlflowClient().search_model_versions("name = 'tested'")
    logged = MlflowClient().get_run(run.run_id).data.metrics
    assert logged[f"global/{headline}"] == found.overall[headline]
    assert f"worst_hospital/{headline}" in logged
