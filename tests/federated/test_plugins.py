"""One new file is one new rule, found by its name and used through the configuration."""

import sys
from pathlib import Path

import pytest
import torch

import federated.aggregation
from federated import plugins
from federated.config import load
from federated.errors import ConfigError
from federated.types import Update
from tests.conftest import ROOT

LARGEST = '''
"""The update of the hospital with the most rows."""

from typing import Annotated

from pydantic import Field

from federated.plugins import options


@options
class LargestHospital:
    """scale: multiplies it."""

    scale: Annotated[float, Field(gt=0)] = 1.0

    def aggregate(self, updates):
        largest = max(updates, key=lambda update: update.examples)
        return {name: self.scale * t for name, t in largest.delta.items()}
'''
NAMED = "algorithm.aggregation.name=largest_hospital"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose files count as files of federated/aggregation."""
    paths = [*federated.aggregation.__path__, str(tmp_path)]
    monkeypatch.setattr(federated.aggregation, "__path__", paths)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith("federated.aggregation."):
            del sys.modules[name]


def test_a_new_rule_is_one_new_file(folder: Path) -> None:
    params = ROOT / "params.yaml"
    with pytest.raises(ConfigError, match="no aggregation is called 'largest_hospital'"):
        load(params, [NAMED])
    (folder / "largest_hospital.py").write_text(LARGEST)
    rules = load(params, [NAMED, "algorithm.aggregation.scale=2.0"]).algorithm.rules
    assert rules.names["aggregation"] == "largest_hospital"
    updates = [
        Update(hospital=h, round=1, delta={"w": torch.tensor([x])}, examples=n, steps=1, loss=0.0)
        for h, x, n in (("a", 1.0, 5), ("b", 3.0, 9))
    ]
    assert rules.aggregation.aggregate(updates) == {"w": torch.tensor([6.0])}
    with pytest.raises(ConfigError, match=r"aggregation\.scale: .*greater than 0 \(got -1\)"):
        load(params, [NAMED, "algorithm.aggregation.scale=-1"])
    with pytest.raises(ConfigError, match=r"unknown key algorithm\.aggregation\.scales; .*'scale'"):
        load(params, [NAMED, "algorithm.aggregation.scales=1"])
    assert load(params, ["algorithm.aggregation.scale=2.0"]).unused() == [
        "algorithm.aggregation.scale"
    ]


def test_a_file_without_its_class_is_named(folder: Path) -> None:
    (folder / "nameless.py").write_text("")
    with pytest.raises(TypeError, match=r"nameless\.py must hold the class Nameless"):
        plugins.find("federated.aggregation", "nameless")


def test_files_that_begin_with_an_underscore_are_no_rules(folder: Path) -> None:
    (folder / "_helper.py").write_text("")
    found = plugins.names("federated.aggregation")
    assert {"mean", "sum"} <= set(found)
    assert not any(name.startswith("_") for name in found)
    assert list(found) == sorted(found)


def test_options_are_told_as_json_has_them() -> None:
    only = plugins.create("federated.selection", "only", {"hospitals": ["a", "b"]}, "selection")
    assert plugins.values(only) == {"hospitals": ["a", "b"]}
