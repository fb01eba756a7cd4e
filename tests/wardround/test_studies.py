"""The commands `algorithms`, `study` and `compare`, and what they say to bad input."""

import json
import re
from pathlib import Path

import pytest
import yaml
from click.testing import Result
from typer.testing import CliRunner

from federated.errors import ConfigError, WardroundError
from federated.study import Study, read_study
from tests.conftest import ROOT, Project
from tests.federated.test_catalogue import toy
from tests.tasks.study_folder import write_folder
from wardround.cli import app

__all__ = ["toy"]  # the fixture: a new aggregation file


def command(*arguments: str, columns: int = 100) -> Result:
    return CliRunner().invoke(app, arguments, env={"COLUMNS": str(columns), "NO_COLOR": "1"})


def refused(*arguments: str) -> str:
    """What the command says to a user's fault."""
    fault = command(*arguments).exception
    assert isinstance(fault, WardroundError)
    return str(fault)


def test_algorithms_lists_a_new_file_with_no_other_edit(toy: str) -> None:
    done = command("algorithms", "--kind", "aggregation")
    assert done.exit_code == 0
    assert toy in done.output
    assert "Doe et al. 2031" in done.output
    assert "first=1" in done.output
    assert re.search(r"sum .*—", done.output)  # no options: a dash


def test_the_listing_is_whole_at_80_columns() -> None:
    lines = command("algorithms", columns=80).output.splitlines()
    assert max(map(len, lines)) <= 80
    for name in ("geometric_median", "power_of_choice", "centered_clipping"):
        assert sum(line.startswith(f" {name} ") for line in lines) == 2  # file and preset
    assert any("Hsu et al. 2019" in line and "server momentum" in line for line in lines)


def test_algorithms_as_json_has_every_kind_and_the_presets() -> None:
    found = json.loads(command("algorithms", "--json").output)
    assert {"local", "aggregation", "server", "partition", "datasets", "models"} <= {
        *found["plug-ins"]
    }
    (sgd,) = (one for one in found["plug-ins"]["server"] if one["name"] == "sgd")
    assert sgd["options"] == [{"name": "lr", "type": "float > 0", "default": "1.0"}]
    assert found["presets"]["fedavg"]["rules"]["aggregation"] == "mean"
    assert found["presets"]["fedprox"]["source"] == "Li et al. 2020, arXiv:1812.06127"


def test_one_name_in_full(toy: str) -> None:
    text = command("algorithms", toy).output
    assert "It ignores half of the hospitals." in text
    assert "int ≥ 0, < 2" in text
    assert f"aggregation · federated/aggregation/{toy}.py" in text
    preset = command("algorithms", "fedavg").output
    assert "preset: --set algorithm.name=fedavg" in preset
    assert "McMahan et al. 2017, arXiv:1602.05629" in preset
    assert "did you mean 'fedavg'?" in refused("algorithms", "fedvag")
    assert "did you mean 'local'?" in refused("algorithms", "--kind", "lokal")


def test_a_study_is_refused_before_anything_runs(
    make_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = make_project()
    monkeypatch.chdir(project)
    study = {"name": "s", "seeds": [1], "settings": {"good": None, "bad": {"run.round": 3}}}
    Path("study.yaml").write_text(yaml.safe_dump(study))
    text = refused("study", "study.yaml")
    assert "setting 'bad'" in text
    assert "unknown key run.round; did you mean 'rounds'?" in text
    assert not (project / "reports").exists()
    with pytest.raises(ConfigError, match="no such file"):
        raise command("study", "other.yaml").exception or AssertionError


def test_compare_says_what_it_does_not_know(
    make_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(make_project())
    assert "'fedavg' is no run id: name its --experiment" in refused("compare", "fedavg")
    assert "no run with the id" in refused("compare", "0" * 32)
    assert "no experiment 'none'" in refused("compare", "a", "--experiment", "none")


def test_a_pipe_gets_every_line_whole_and_other_columns_on_demand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "a_setting_whose_name_is_longer_than_half_of_a_terminal_of_80_columns"
    study = Study(name="s", seeds=(1, 2, 3), settings={"a": None, name: None}, metrics=("auroc",))
    values = {"a": {1: 0.6, 2: 0.61, 3: 0.62}, name: {1: 0.7, 2: 0.72, 3: 0.71}}
    write_folder(tmp_path / "reports/studies/s", study, values)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)
    lines = CliRunner().invoke(app, ["compare", "s"]).output.splitlines()
    row = f" {name} +3 +0.710±0.025 +0.710±0.025 +2,000.0 +1.5 "
    assert any(re.fullmatch(row, line) for line in lines)
    assert any(f"{name}: AUROC is 0.1 higher than a's (better)" in line for line in lines)
    other = command("compare", "s", "--metric", "worst_hospital_auroc", columns=300).output
    assert "Against a, seed by seed" in other
    assert "AUROC, worst hospital is 0.1 higher than a's" in other
    assert "no run has the metric 'auroq'" in refused("compare", "s", "--metric", "auroq")


def test_every_study_is_a_stage_of_dvc() -> None:
    stages = yaml.safe_load((ROOT / "studies/dvc.yaml").read_text())["stages"]
    own = stages["study"]["foreach"]
    for name, stage in own.items():
        assert read_study(ROOT / stage["file"]).name == name  # the folder of its output
        assert stage["data"] == "data/hospitals" or (ROOT / stage["data"]).exists()
    files = {f.relative_to(ROOT).as_posix() for f in (ROOT / "studies").glob("*/*.yaml")}
    assert {stage["file"] for stage in own.values()} == files
