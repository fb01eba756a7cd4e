"""`wardround predict`: a file in, a file of predictions out, and every refused row named."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from tasks.job import Job
from tests.tasks.shelved import NAME, expected, patients, project, project_of, raw, shelve
from tests.wardround.test_cli import Cli, cli  # noqa: F401 - a fixture

MODEL = f"{NAME}@champion"


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory, migrated_database: Path) -> Job:
    folder = tmp_path_factory.mktemp("predict") / "project"
    return shelve(project_of(folder, migrated_database, patients(), {"target": "dead"}))


@pytest.fixture
def here(job: Job) -> Path:
    return job.place.project


def test_the_training_file_as_it_is(job: Job, here: Path, cli: Cli) -> None:  # noqa: F811
    code, out, err = cli(here, "predict", "base.csv", "--model", MODEL)
    assert (code, out, err) == (0, "predictions.csv: 60 of 60 rows scored\n", "")
    found = pd.read_csv(here / "predictions.csv")
    assert list(found.columns) == ["row", "no", "yes", "refused"]
    assert found["row"].tolist() == list(range(1, 61))
    assert found["refused"].isna().all()
    assert found[["no", "yes"]].to_numpy() == pytest.approx(expected(job), abs=3e-7)


@pytest.mark.parametrize("how", ["version", "run", "model", "folder"])
def test_ways_to_name_a_model(job: Job, here: Path, cli: Cli, how: str) -> None:  # noqa: F811
    client = MlflowClient(job.tracking_uri)
    version = client.get_model_version_by_alias(NAME, "champion")
    named = {
        "version": f"{NAME}/1",
        "run": version.run_id,
        "model": version.source,
        "folder": str(next((here / "mlruns/artifacts").rglob("MLmodel")).parent),
    }[how]
    code, _, err = cli(here, "predict", "base.csv", "--model", named, "--out", "p.parquet")
    assert (code, err) == (0, "")
    found = pd.read_parquet(here / "p.parquet")
    assert found[["no", "yes"]].to_numpy() == pytest.approx(expected(job), abs=3e-7)


def test_rows_that_are_refused_are_named_and_the_others_scored(
    job: Job,
    here: Path,
    cli: Cli,  # noqa: F811
) -> None:
    rows = pd.read_csv(here / "base.csv", dtype=str)
    rows.loc[3, ["sex", "hb"]] = ["x", "twelve"]
    rows.loc[5, "ward"] = "garden"
    rows.to_csv(here / "bad.csv", index=False)
    code, out, err = cli(here, "predict", "bad.csv", "--model", MODEL, "--out", "bad-out.csv")
    assert code == 1
    assert out == "bad-out.csv: 58 of 60 rows scored\n"
    assert err.splitlines() == [
        "refused: row 4, column 'sex': 'x' is not one of f, m",
        "refused: row 4, column 'hb': 'twelve' is not a number",
        "refused: row 6, column 'ward': 'garden' is not one of icu, medical, surgical",
    ]
    found = pd.read_csv(here / "bad-out.csv")
    assert found.loc[3, "refused"] == "sex is not one of f, m; hb is not a number"
    assert found.loc[[3, 5], ["no", "yes"]].isna().all(axis=None)
    good = [i for i in range(60) if i not in (3, 5)]
    scored = found.loc[good, ["no", "yes"]].to_numpy()
    assert scored == pytest.approx(expected(job)[good], abs=3e-7)


@pytest.mark.parametrize(
    ("file", "model", "out", "message"),
    [
        ("base.csv", NAME, "p.csv", "say which version, as tested@champion or tested/1"),
        ("base.csv", "testd@champion", "p.csv", "did you mean 'tested'?"),
        ("base.csv", f"{NAME}@champoin", "p.csv", "no alias 'champoin'; did you mean 'champion'?"),
        ("base.csv", f"{NAME}/7", "p.csv", "tested: no version '7'; valid: 1"),
        ("base.csv", "0" * 32, "p.csv", "MLflow has no such run"),
        ("absent.csv", MODEL, "p.csv", "absent.csv: no such file"),
        ("less.csv", MODEL, "p.csv", "less.csv: no column 'hb'; the table has clinic, age"),
        ("base.csv", MODEL, "p.xlsx", "p.xlsx: neither .csv nor .parquet"),
    ],
)
def test_faults_are_one_message(
    here: Path,
    cli: Cli,  # noqa: F811
    file: str,
    model: str,
    out: str,
    message: str,
) -> None:
    pd.read_csv(here / "base.csv").drop(columns="hb").to_csv(here / "less.csv", index=False)
    code, said, err = cli(here, "predict", file, "--model", model, "--out", out)
    assert (code, said) == (1, "")
    assert message in err
    assert "Traceback" not in err
    assert not (here / out).exists()


def test_images(tmp_path: Path, migrated_database: Path, cli: Cli) -> None:  # noqa: F811
    source = {"hospitals": 2, "rows": 30, "shape": [1, 8, 8], "classes": 3}
    folder = project(
        tmp_path / "images",
        migrated_database,
        {
            "data": {"dataset": "synthetic", "source": source},
            "model": {"name": "mlp"},
            "run": {"registered_model": NAME},
        },
    )
    job = shelve(folder)
    np.save(folder / "images.npy", raw(job))
    code, out, _ = cli(folder, "predict", "images.npy", "--model", MODEL)
    assert (code, out) == (0, "predictions.csv: 60 of 60 rows scored\n")
    found = pd.read_csv(folder / "predictions.csv")
    assert list(found.columns) == ["row", "class 0", "class 1", "class 2", "refused"]
    assert found.filter(like="class").to_numpy() == pytest.approx(expected(job), abs=3e-7)
    np.save(folder / "wide.npy", raw(job)[:, :, :, :7])
    code, _, err = cli(folder, "predict", "wide.npy", "--model", MODEL)
    assert code == 1
    assert "does not match expected shape (-1, 1, 8, 8)" in err
    (folder / "note.npy").write_text("nothing")
    code, _, err = cli(folder, "predict", "note.npy", "--model", MODEL)
    assert code == 1
    assert "note.npy: not a .npy file of images" in err
