"""The registered model takes the file it was trained on as it is, and refuses other cells."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fastapi.testclient import TestClient
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import scoring_server

from tasks.job import Job
from tests.conftest import ROOT
from tests.tasks.shelved import NAME, expected, loaded, patients, project_of, raw, shelve

CASES = ROOT.parent / "shared" / "cases" / "model-texts"
DEAD = {"target": "dead", "numeric": ["age", "hb"], "categorical": ["ward", "stage"]}
DEAD |= {"binary": ["sex"]}
FEATURES = ["age", "sex", "hb", "ward", "stage"]
CLOSE = 3e-7  # the last bit of a float32: as many rows at once are added up in another order
pytestmark = pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")
Make = Callable[..., Job]


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory, migrated_database: Path) -> Job:
    folder = tmp_path_factory.mktemp("shelf") / "project"
    return shelve(project_of(folder, migrated_database, patients(), DEAD))


@pytest.fixture
def make(tmp_path: Path, migrated_database: Path) -> Make:
    def made(frame: pd.DataFrame, source: dict[str, Any], **data: Any) -> Job:
        return shelve(project_of(tmp_path / "project", migrated_database, frame, source, **data))

    return made


@pytest.fixture
def csv(job: Job) -> Path:
    return job.place.project / "base.csv"


def test_the_file_it_was_trained_on_gives_what_training_saw(job: Job, csv: Path) -> None:
    model, wanted = loaded(job), expected(job)
    texts = pd.read_csv(csv, dtype=str)
    frames = {
        "as pandas reads it": pd.read_csv(csv),
        "texts": texts,
        "texts, blank where missing": pd.read_csv(csv, dtype=str, keep_default_na=False),
        "padded": texts.map(lambda cell: f"  {cell} ", na_action="ignore"),
        "Int64 with NA": pd.read_csv(csv).astype({"age": "Int64"}),
        "whole numbers as objects": texts.assign(stage=[int(s) for s in texts["stage"]]),
        "stages with a missing neighbour": pd.read_csv(csv).astype({"stage": "float64"}),
        "columns in another order": texts[texts.columns[::-1]],
    }
    assert frames["as pandas reads it"]["stage"].dtype == "int64"
    for how, frame in frames.items():
        found = model.predict(frame)
        assert list(found.columns) == ["no", "yes"], how
        assert np.allclose(found.to_numpy(), wanted, rtol=0, atol=CLOSE), how
        values = model.unwrap_python_model().values(frame)
        assert np.array_equal(values, raw(job), equal_nan=True), how
    assert wanted[:, 1].std() > 0.05


def test_one_row_and_none(job: Job, csv: Path) -> None:
    model, texts = loaded(job), pd.read_csv(csv, dtype=str)
    assert model.predict(texts.iloc[[4]]).to_numpy() == pytest.approx(expected(job)[[4]], abs=CLOSE)
    assert model.predict(texts.iloc[[4]]).index.tolist() == [4]
    assert model.predict(texts.iloc[:0]).shape == (0, 2)


def test_the_signature_and_the_page_say_what_it_takes(job: Job) -> None:
    inputs = {one.name: str(one.type) for one in loaded(job).metadata.get_input_schema().inputs}
    assert inputs["sex"] == inputs["ward"] == "DataType.string"
    assert inputs["age"] == inputs["stage"] == "Any"
    assert list(inputs) == FEATURES
    page = MlflowClient(job.tracking_uri).get_model_version(NAME, "1").description
    assert "| sex | binary | f, m |" in page
    assert "| ward | categorical | icu, medical, surgical |" in page


FORBIDDEN = [
    ("sex", "x", "row 2, column 'sex': 'x' is not one of f, m"),
    ("ward", "ICU", "row 2, column 'ward': 'ICU' is not one of icu, medical, surgical"),
    ("hb", "twelve", "row 2, column 'hb': 'twelve' is not a number"),
    ("hb", "inf", "row 2, column 'hb': 'inf' is not a number"),
    ("stage", "4", "row 2, column 'stage': '4' is not one of 1, 2, 3"),
    ("ward", "y" * 99, "row 2, column 'ward': '" + "y" * 39 + " is not one of"),
]


def test_what_the_schema_forbids_is_refused_by_row_column_and_cell(job: Job, csv: Path) -> None:
    model = loaded(job)
    for column, cell, message in FORBIDDEN:
        rows = pd.read_csv(csv, dtype=str).head(3)
        rows.loc[1, column] = cell
        with pytest.raises(MlflowException) as refused:
            model.predict(rows)
        assert message in str(refused.value)


def test_many_refused_cells_are_counted(job: Job, csv: Path) -> None:
    rows = pd.read_csv(csv, dtype=str).head(9).assign(sex="x")
    with pytest.raises(MlflowException, match=r"row 5, column 'sex': .*; and 4 more"):
        loaded(job).predict(rows)


def test_an_absent_column_is_named(job: Job, csv: Path) -> None:
    rows = pd.read_csv(csv).drop(columns="hb")
    with pytest.raises(MlflowException, match=r"missing inputs .*'hb'"):
        loaded(job).predict(rows)


def test_mlflows_server_takes_the_file_and_json(job: Job, csv: Path) -> None:
    model, wanted = loaded(job), expected(job)
    answers = TestClient(scoring_server.init(model))

    def ask(kind: str, content: bytes | str) -> Any:
        return answers.post("/invocations", content=content, headers={"Content-Type": kind})

    def found(answer: Any) -> Any:
        assert answer.status_code == 200, answer.text
        return pd.DataFrame(answer.json()["predictions"])[["no", "yes"]].to_numpy()

    assert found(ask("text/csv", csv.read_bytes())) == pytest.approx(wanted, abs=CLOSE)
    frame = pd.read_csv(csv)
    split = {"dataframe_split": json.loads(frame.to_json(orient="split"))}
    assert found(ask("application/json", json.dumps(split))) == pytest.approx(wanted, abs=CLOSE)
    records = {"dataframe_records": json.loads(frame.to_json(orient="records"))}
    assert found(ask("application/json", json.dumps(records))) == pytest.approx(wanted, abs=CLOSE)
    bad = frame.head(2).assign(ward=["icu", "garden"]).to_csv(index=False)
    answer = ask("text/csv", bad)
    assert answer.status_code == 400
    assert "row 2, column 'ward': 'garden' is not one of icu, medical, surgical" in answer.text


def test_hospital_scaling_takes_the_files_own_hospital_column(make: Make) -> None:
    own = make(patients(), DEAD, scaling="hospital")
    model, rows = loaded(own), pd.read_csv(own.place.project / "base.csv")
    assert model.predict(rows).to_numpy() == pytest.approx(expected(own), abs=CLOSE)
    assert [c.name for c in model.metadata.get_input_schema().inputs] == ["clinic", *FEATURES]
    with pytest.raises(MlflowException, match=r"row 1, column 'clinic': 'east' is none of this"):
        model.predict(rows.assign(clinic="east"))


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ({"target": "stay", "target_kind": "value"}, ["stay"]),
        ({"labels": ["flu", "sepsis"]}, ["flu", "sepsis"]),
        ({"time": "stay", "event": "flu"}, ["relative_risk"]),
    ],
)
def test_the_other_questions(make: Make, source: dict[str, Any], names: list[str]) -> None:
    frame, drawn = patients().drop(columns="dead"), np.random.default_rng(8)
    frame = frame.assign(
        stay=drawn.integers(1, 30, len(frame)),
        flu=drawn.integers(0, 2, len(frame)),
        sepsis=drawn.integers(0, 2, len(frame)),
    )
    own = make(frame, source)
    found = loaded(own).predict(pd.read_csv(own.place.project / "base.csv"))
    assert list(found.columns) == names
    assert found.to_numpy() == pytest.approx(expected(own), rel=1e-6)


def test_a_leading_zero_that_pandas_took_is_refused(make: Make) -> None:
    codes = np.random.default_rng(2).choice(["042", "0042", "414", "V27"], 60)
    own = make(
        patients().drop(columns="stage").assign(code=codes),
        DEAD | {"categorical": ["ward", "code"]},
    )
    model = loaded(own)
    rows = pd.read_csv(own.place.project / "base.csv", dtype=str)
    assert model.predict(rows).to_numpy() == pytest.approx(expected(own), abs=CLOSE)
    numbers = rows[rows["code"] != "V27"].astype({"code": "float64"})
    with pytest.raises(MlflowException, match=r"column 'code': 42\.0 is a number that a category"):
        model.predict(numbers)


def test_marks_of_the_training_file_are_missing_and_others_are_refused(make: Make) -> None:
    frame = patients()
    frame.loc[1, "hb"], frame.loc[2, "age"] = "<5", "-9"
    own = make(frame, DEAD | {"missing": ["-9"]})
    model, rows = loaded(own), frame.drop(columns="dead").head(4)
    blank = rows.assign(hb=["", "", "", "13"], age="")
    marked = rows.assign(hb=[".", "<5", "< 7.5", "13"], age=["-9", "-9.0", " NA", "?"])
    assert model.predict(marked).equals(model.predict(blank))
    assert model.predict(marked.assign(age=-9)).equals(model.predict(blank))
    with pytest.raises(MlflowException, match=r"row 1, column 'age': '<5' is not a number"):
        model.predict(marked.assign(age="<5"))


def test_a_text_without_a_label_is_other_where_there_is_one(make: Make) -> None:
    own = make(patients(), DEAD | {"max_categories": 2})
    rows = pd.read_csv(own.place.project / "base.csv", dtype=str)
    model = loaded(own)
    assert model.predict(rows).to_numpy() == pytest.approx(expected(own), abs=CLOSE)
    assert model.predict(rows.assign(ward="garden")).shape == (60, 2)


@pytest.mark.skipif(not CASES.is_dir(), reason="the sample files are not here")
def test_the_sample_of_texts(tmp_path: Path, migrated_database: Path) -> None:
    """Trained on texts; one new patient is scored as the file has it."""
    base = pd.read_csv(CASES / "base.csv", dtype=str)
    source = {"target": "dead", "hospital": "site"}
    job = shelve(project_of(tmp_path / "sample", migrated_database, base, source))
    known = loaded(job).predict(pd.read_csv(CASES / "base.csv"))
    assert known.to_numpy() == pytest.approx(expected(job), abs=CLOSE)
    new = loaded(job).predict(pd.read_csv(CASES / "new.csv"))  # the first patient, without outcome
    assert list(new.columns) == ["no", "yes"]
    assert new.to_numpy() == pytest.approx(known.to_numpy()[:1], abs=CLOSE)
