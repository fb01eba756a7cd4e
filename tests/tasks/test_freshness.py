"""Whatever data are made from may change: the next command trains on what is there, and says so.

The oracle is a project of the same settings and files in which nothing was ever made before.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from federated.config import DataConfig, load
from federated.errors import DataError
from federated.study import Study
from tasks import made_from
from tasks.hospital_files import RECORDS
from tasks.job import load_job
from tasks.made_from import MADE_FROM
from tasks.study_plan import plan
from tasks.workspace import ensure_data, workspace
from tests.conftest import Project

RAW = "mine.csv"
SOURCE = {"path": RAW, "target": "ill", "hospital": "site"}
DATA = {"dataset": "table", "source": SOURCE, "hospitals": ["north", "south"], "min_rows": 5}
# each key of `data` with another value; a value that is a function changes the files too
OTHERS: dict[str, Any] = {
    "dataset": {"dataset": "synthetic", "source": {"hospitals": 2, "rows": 40}, "hospitals": []},
    "source": {"source": {**SOURCE, "drop": ["dose"]}},
    "hospitals": {"hospitals": []},
    "leave_out": {"leave_out": ["south"]},
    "partition": {"partition": {"name": "iid", "hospitals": 2}, "hospitals": []},
    "test_fraction": {"test_fraction": 0.5},
    "validation_fraction": {"validation_fraction": 0.2},
    "min_rows": {"min_rows": 6},
    "small_hospitals": {"small_hospitals": "leave_out"},
    "seed": {"seed": 7},
    "scaling": {"scaling": "off"},
    "missing_indicators": {"missing_indicators": False},
}


def rows(site: str, number: int = 30) -> pd.DataFrame:
    generator = np.random.default_rng([*site.encode()])
    return pd.DataFrame(
        {
            "site": site,
            "age": generator.integers(20, 90, number),
            "dose": generator.standard_normal(number),
            "ill": np.tile(["no", "yes"], number // 2),
        }
    )


def write(project: Path, *sites: str) -> None:
    pd.concat([rows(site) for site in sites]).to_csv(project / RAW, index=False)


def alter(project: Path, site: str) -> None:
    """One cell of one hospital."""
    frame = pd.read_csv(project / RAW)
    frame.loc[frame.index[frame["site"] == site][3], "age"] = 91
    frame.to_csv(project / RAW, index=False)


def configure(project: Path, **changes: Any) -> None:
    values = yaml.safe_load((project / "params.yaml").read_text())
    values["data"] |= changes
    (project / "params.yaml").write_text(yaml.safe_dump(values))


def contents(folder: Path) -> dict[str, bytes]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def made(project: Path, *overrides: str) -> tuple[dict[str, bytes], list[str]]:
    """What lies in the hospitals' folders that take part, and what was told on the way."""
    told: list[str] = []
    config = load(project / "params.yaml", overrides)
    place = workspace(project, config)
    names = ensure_data(place, config, told.append)
    every = contents(place.hospitals)
    return {k: v for k, v in every.items() if k.split("/")[0] in names}, told


@pytest.fixture
def project(make_project: Project) -> Path:
    """Two hospitals' rows, whose data are made."""
    found = make_project(data={**DATA, "source": {}})
    configure(found, source=SOURCE)
    write(found, "north", "south")
    assert made(found)[1] == []
    assert made(found)[1] == []
    return found


@pytest.fixture
def anew(project: Path, tmp_path: Path) -> Callable[..., dict[str, bytes]]:
    """What the same settings and files give where nothing was made before."""

    def make(*overrides: str) -> dict[str, bytes]:
        other = tmp_path / "anew"
        other.mkdir()
        for name in ("params.yaml", RAW):
            shutil.copy(project / name, other / name)
        return made(other, *overrides)[0]

    return make


def test_every_key_of_data_has_another_value_here() -> None:
    assert OTHERS.keys() == DataConfig.model_fields.keys()


@pytest.mark.parametrize("key", OTHERS)
def test_a_changed_key_of_params_yaml_makes_the_data_again(
    project: Path, anew: Callable[..., dict[str, bytes]], key: str
) -> None:
    before, _ = made(project)
    configure(project, **OTHERS[key])
    found, told = made(project)
    assert found == anew()
    if key in ("scaling", "missing_indicators"):
        assert (found, told) == (before, [])
    else:
        assert len(told) == 1
        assert f"data.{key}" in told[0]
        assert "made again" in told[0]


@pytest.mark.parametrize("key", ["seed=7", "test_fraction=0.5", "min_rows=6"])
def test_an_override_has_its_own_folder_and_leaves_the_projects_alone(
    project: Path, anew: Callable[..., dict[str, bytes]], key: str
) -> None:
    before = contents(project / "data" / "hospitals")
    found, told = made(project, f"data.{key}")
    assert (found, told) == (anew(f"data.{key}"), [])
    assert contents(project / "data" / "hospitals") == before


@pytest.mark.parametrize("overrides", [(), ("data.seed=7",)], ids=["own", "derived"])
def test_one_changed_cell(
    project: Path, anew: Callable[..., dict[str, bytes]], overrides: tuple[str, ...]
) -> None:
    before, _ = made(project, *overrides)
    alter(project, "south")
    found, told = made(project, *overrides)
    assert found == anew(*overrides)
    differing = {name for name in found if found[name] != before[name]}
    assert differing == {f"south/{name}" for name in (RECORDS, MADE_FROM)}
    assert [RAW in line for line in told] == ([] if overrides else [True])


def test_a_hospital_more_and_one_less(project: Path, anew: Callable[..., dict[str, bytes]]) -> None:
    write(project, "north", "south", "east")
    with pytest.raises(DataError, match="unknown hospital 'east'"):
        made(project)
    configure(project, hospitals=["north", "south", "east"])
    found, _ = made(project)
    assert {name.split("/")[0] for name in found} == {"north", "south", "east"}
    write(project, "north", "south")
    with pytest.raises(DataError, match="the data hold no hospital 'east'"):
        made(project)
    configure(project, hospitals=["north", "south"])
    found, told = made(project)
    assert found == anew()
    assert "data.hospitals" in told[0]


def test_a_folder_that_nobody_asks_for_does_not_take_part(project: Path) -> None:
    """DVC leaves the outputs of a stage that is no more."""
    hospitals = project / "data" / "hospitals"
    shutil.copytree(hospitals / "north", hospitals / "gone")
    assert load_job(load(project / "params.yaml"), project).hospitals == ["north", "south"]


@pytest.mark.parametrize("partition", ["natural", "iid"])
def test_a_folder_that_is_gone_is_made_again(
    project: Path, anew: Callable[..., dict[str, bytes]], partition: str
) -> None:
    if partition == "iid":
        configure(project, partition={"name": "iid", "hospitals": 2}, hospitals=[])
    before, _ = made(project)
    shutil.rmtree(project / "data" / "hospitals" / min(before).split("/")[0])
    assert made(project)[0] == before == anew()


@pytest.mark.parametrize(
    "path",
    [
        "prepared/south/records.csv",
        "prepared/schema.json",
        f"prepared/{MADE_FROM}",
        f"hospitals/north/{MADE_FROM}",
    ],
)
def test_what_a_person_changed_or_a_kill_left_half_is_made_again(project: Path, path: str) -> None:
    before = contents(project / "data")
    (project / "data" / path).write_bytes(before[path][:-20])
    _, told = made(project)
    assert len(told) == 1
    assert contents(project / "data") == before


def test_half_a_step_is_no_step(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`prepare` is cut off between two files: its record is gone before the first is written."""
    before = contents(project / "data")
    alter(project, "north")
    config = load(project / "params.yaml")
    place = workspace(project, config)
    real, left = Path.replace, 2

    def fail(path: Path, target: Path) -> Path:
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError("killed")
        return real(path, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", fail)
        with pytest.raises((OSError, DataError)):
            ensure_data(place, config)
    shutil.move(project / RAW, project / "other")  # the same source as before: only half is new
    write(project, "north", "south")
    _, told = made(project)
    assert told
    assert contents(project / "data") == before


def test_other_code_makes_the_data_again(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    derived = workspace(project, load(project / "params.yaml", ["data.seed=7"])).hospitals
    monkeypatch.setitem(made_from.CODE, "partition", ("federated.split",))  # type: ignore[arg-type]
    _, told = made(project)
    assert "the code that makes them changed" in told[0]
    assert workspace(project, load(project / "params.yaml", ["data.seed=7"])).hospitals != derived


def test_training_and_studies_see_a_changed_cell(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both load a job; the study's runs become other runs."""
    monkeypatch.setenv("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    study = Study(name="s", seeds=(1,), settings={"a": None}, metrics=("loss",))
    before = load_job(load(project / "params.yaml"), project)
    first = plan(study, project / "study.yaml", project).runs[0].identity
    assert capsys.readouterr().err == ""
    alter(project, "south")
    second = plan(study, project / "study.yaml", project).runs[0].identity
    assert capsys.readouterr().err == f"note: data/hospitals: {RAW} changed; made again\n"
    after = load_job(load(project / "params.yaml"), project)
    assert first != second
    assert before.data["north"] == after.data["north"]
    assert before.data["south"] != after.data["south"]
