"""The digest of the code behind a run changes with that code, and with no other."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import federated.aggregation
from federated.config import load
from tasks import study_code
from tasks.study_code import code_digest
from tests.conftest import ROOT
from tests.federated.test_catalogue import TOY


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder whose files are aggregations too."""
    places = [*federated.aggregation.__path__, str(tmp_path)]
    monkeypatch.setattr(federated.aggregation, "__path__", places)
    yield tmp_path
    for name in ("every_second", "helper"):
        sys.modules.pop(f"federated.aggregation.{name}", None)
        vars(federated.aggregation).pop(name, None)


def digest(*overrides: str) -> str:
    study_code._module.cache_clear()
    return code_digest(load(ROOT / "params.yaml", overrides))


def test_a_new_plug_in_changes_no_other_run(folder: Path) -> None:
    before = digest()
    (folder / "every_second.py").write_text(TOY)
    assert digest() == before
    assert digest("algorithm.aggregation.name=every_second") != before


def test_a_changed_plug_in_changes_its_runs(folder: Path) -> None:
    own = "algorithm.aggregation.name=every_second"
    (folder / "every_second.py").write_text(TOY)
    before, others = digest(own), digest()
    (folder / "every_second.py").write_text(TOY + "# changed\n")
    assert digest(own) != before
    assert digest() == others


def test_what_a_plug_in_imports_belongs_to_it(folder: Path) -> None:
    own = "algorithm.aggregation.name=every_second"
    (folder / "_helper.py").write_text("X = 1\n")
    (folder / "every_second.py").write_text(TOY + "from federated.aggregation import _helper\n")
    before = digest(own)
    (folder / "_helper.py").write_text("X = 2\n")
    assert digest(own) != before
    sys.modules.pop("federated.aggregation._helper", None)


def test_another_rule_is_other_code() -> None:
    assert digest("algorithm.name=sum") != digest()
    assert digest() == digest("run.seed=7")
