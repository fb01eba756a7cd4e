"""No patient's value is written anywhere but under data/: not by a run, not by one that fails.

Real commands with every log on; then all that MLflow, the Prefect server, the journal, the
reports, temporary folders and the terminal hold is searched for values of known patients.
"""

import json
import math
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from federated.config import load
from tasks.job import load_job
from tests.conftest import ROOT, SMALL, merged
from tests.flows.patients import BAD_CELLS, SCHEMA, TABLE, Patients, made_up, write
from tests.flows.traces import contents, forms, leaks
from tests.wardround.command import wardround

pytestmark = pytest.mark.slow
SETTINGS = {
    "data": {"dataset": "table", "hospitals": ["north", "south", "west"]},
    "run": {"rounds": 2},
}
SOURCE = {"path": TABLE, "target": "ill", "hospital": "site", "drop": ["note"], "schema": SCHEMA}
LOUD = {"PREFECT_LOGGING_LEVEL": "DEBUG", "MLFLOW_LOGGING_LEVEL": "DEBUG"}
TRAIN = ("train", "--verbose")
DIVERGE = ("--set", "model.name=mlp", "--set", "algorithm.local.lr=1e12")
COMMANDS = ((("prepare",), 0), (TRAIN, 0), ((*TRAIN, *DIVERGE), 1))


class Ran(NamedTuple):
    """A project after a run and a failed run; roots: all that was written but for its data."""

    project: Path
    patients: Patients
    roots: list[Path]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory, migrated_database: Path, prefect_url: str) -> Ran:
    folder = tmp_path_factory.mktemp("leaves")
    project, terminal, scratch = (folder / n for n in ("project", "terminal", "scratch"))
    for one in (project / "mlruns", terminal, scratch):
        one.mkdir(parents=True)
    shutil.copy(migrated_database, project / "mlruns" / "mlflow.db")
    patients = made_up()
    write(patients, project)
    write_params(project)
    for number, (command, code) in enumerate(COMMANDS):
        loud = {"PREFECT_API_URL": prefect_url, "TMPDIR": str(scratch), **LOUD}
        done = wardround(project, *command, **loud)
        assert done.returncode == code, done.stderr
        (terminal / f"{number}-{command[0]}.txt").write_text(done.stdout + done.stderr)
    written = [p for p in project.iterdir() if p.name != "data"]
    return Ran(project, patients, [*written, terminal, scratch, Path(os.environ["PREFECT_HOME"])])


def write_params(project: Path) -> None:
    values = merged(merged(yaml.safe_load((ROOT / "params.yaml").read_text()), SMALL), SETTINGS)
    values["data"]["source"] = SOURCE
    (project / "params.yaml").write_text(yaml.safe_dump(values))


def wanted(values: Mapping[str, float | str]) -> dict[str, set[bytes]]:
    return {name: forms(value) for name, value in values.items()}


def test_the_search_finds_what_is_there(ran: Ran) -> None:
    """Otherwise the other tests would prove nothing."""
    numbers = ran.patients.numbers()
    for name in (TABLE, "data/prepared/north/records.csv"):
        found = leaks(contents([ran.project / name]), wanted(numbers))
        assert len(found) >= 10, name
    records = ran.project / "data/hospitals/north/records.safetensors"
    assert len(leaks(contents([records]), wanted(numbers))) == 10
    names = leaks(contents(ran.roots), wanted({"hospital": "north"}))
    databases = {where.split(" in ")[1] for where in names}
    assert any(where.endswith("mlflow.db, dumped") for where in databases)
    assert any(where.endswith("prefect.db, dumped") for where in databases)


def test_no_patients_number_is_outside_data(ran: Ran) -> None:
    assert leaks(contents(ran.roots), wanted(ran.patients.numbers())) == []


def test_no_patients_row_is_there_as_the_model_gets_it(ran: Ran) -> None:
    """Scaled ages and laboratory values, the first two inputs."""
    job = load_job(load(ran.project / "params.yaml"), ran.project)
    numbers = {
        f"input {i} of {name}'s training row {row}": float(value)
        for name, site in job.sites.items()
        for row, inputs in enumerate(site.data.train.features[:5])
        for i, value in enumerate(inputs[:2])
    }
    assert len(numbers) == 30
    assert leaks(contents(ran.roots), wanted(numbers)) == []


def test_neither_bad_cells_nor_a_dropped_column_are_anywhere_but_in_the_source(ran: Ran) -> None:
    texts = wanted({**BAD_CELLS, **ran.patients.notes()})
    assert len(leaks(contents([ran.project / TABLE]), texts)) == len(texts)
    made = [ran.project / "data" / name for name in ("prepared", "hospitals")]
    assert leaks(contents([*ran.roots, *made]), texts) == []


def test_coverage_tells_counts_and_names(ran: Ran) -> None:
    (terminal,) = [root for root in ran.roots if root.name == "terminal"]
    table = (terminal / "0-prepare.txt").read_text()
    for reason in ("lab: not a number", "lab: outside 0 to 90000", "pain: not one of none, some"):
        assert table.count(f"1× {reason}") == 3


def test_the_input_example_is_nobodys_row(ran: Ran) -> None:
    """It is made up from the schema: 40 % and 60 % of the range, the first and the last code, or
    text for one."""
    (path,) = (ran.project / "mlruns").rglob("input_example.json")
    example = json.loads(path.read_text())
    assert example["columns"] == ["age", "lab", "sex", "pain"]
    assert example["data"][:2] == [[4000, 36000, 0, "none"], [6000, 54000, 1, "some"]]
    assert all(cell is None or math.isnan(cell) for cell in example["data"][2])
