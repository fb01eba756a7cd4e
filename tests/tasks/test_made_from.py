"""What data were made from: every key that is not known to have no effect, every file, the code."""

import ast
from pathlib import Path
from typing import get_args

import pytest
import yaml

from federated.config import DataConfig
from tasks import made_from
from tasks.made_from import CODE, FITTED_ON_LOADING, NO_EFFECT, Step, changed, code_files
from tests.conftest import ROOT

STEPS: tuple[Step, ...] = get_args(Step)
KEYS = sorted(DataConfig.model_fields)
# imported by the code that makes data, and not what their content depends on
SHARED = {"config", "errors", "plugins", "results", "sections", "seeds", "weights", "files"}
SHARED |= {"lineage", "versions", "made_from", "statistics"}


def data() -> DataConfig:
    return DataConfig.model_validate(yaml.safe_load((ROOT / "params.yaml").read_text())["data"])


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
@pytest.mark.parametrize("key", KEYS)
def test_every_key_of_data_counts_for_a_step_unless_it_is_fitted_on_loading(key: str) -> None:
    """Also a key that is new: it need not be named anywhere."""
    other = data().model_copy(update={key: {"another": "value"}})
    counts = {
        step
        for step in STEPS
        if made_from.settings(data(), step) != made_from.settings(other, step)
    }
    assert bool(counts) == (key not in FITTED_ON_LOADING)
    assert counts == {step for step in STEPS if key not in NO_EFFECT[step]}


def test_only_keys_of_data_are_left_out() -> None:
    assert set().union(*NO_EFFECT.values()) <= {*KEYS}


@pytest.mark.parametrize("step", STEPS)
def test_dvc_knows_the_same_keys_and_files(step: Step) -> None:
    """Else `dvc repro` and `wardround train` would not agree on what is fresh."""
    stage = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"][step]
    stage = stage.get("do", stage)
    assert stage["params"] == [f"data.{key}" for key in KEYS if key not in NO_EFFECT[step]]
    code = [dep for dep in stage["deps"] if not dep.startswith("data/")]
    folders = {ROOT / dep for dep in code}
    paths = [path for name in CODE[step] for path in code_files(name)]
    assert {path if path in folders else path.parent for path in paths} == folders


@pytest.mark.parametrize("step", STEPS)
def test_what_the_code_imports_counts_too(step: Step) -> None:
    """Objectives code targets in files of their own; what they import is for training."""
    for name in CODE[step]:
        for path in code_files(name) if name != "federated.objectives" else ():
            left = {one for one in imported(path) if not covered(one)}
            assert not left, f"{path}: add {left} to CODE in tasks/made_from.py, and to dvc.yaml"


def covered(module: str) -> bool:
    """Is it counted in one of the steps, or known not to matter?"""
    known = (*CODE["prepare"], *CODE["partition"])
    plain = module.split(".")[1] if "." in module else ""
    return any(f"{module}.".startswith(f"{one}.") for one in known) or plain in SHARED


def imported(path: Path) -> set[str]:
    """Our own modules that a file imports."""
    found = set[str]()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module in ("federated", "tasks"):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return {name for name in found if name.startswith(("federated.", "tasks."))}


def test_what_changed_is_named() -> None:
    then = made_from.of_prepare(data(), ROOT)
    assert changed(then, then) == ""
    assert changed(None, then) == "nothing says what they were made from"
    other = data().model_copy(update={"min_rows": 3, "partition": {"name": "iid", "hospitals": 2}})
    now = made_from.of_prepare(other, ROOT)
    expected = "data.min_rows, data.partition.hospitals, data.partition.name changed"
    assert changed(then, now) == expected
    elsewhere = then.model_copy(update={"files": {"data/raw/heart_disease.csv": "0"}})
    assert changed(elsewhere, then) == "data/raw/heart_disease.csv changed"
    older = then.model_copy(update={"code": "0"})
    assert changed(older, then) == "the code that makes them changed"


def test_the_code_is_read_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    before = {step: made_from.code_digest(step) for step in STEPS}
    real = code_files

    def other(name: str) -> list[Path]:
        if name != "federated.split":
            return real(name)
        (tmp_path / "split.py").write_text("# changed\n")
        return [tmp_path / "split.py"]

    monkeypatch.setattr(made_from, "code_files", other)
    assert made_from.code_digest("prepare") == before["prepare"]
    assert made_from.code_digest("partition") != before["partition"]
