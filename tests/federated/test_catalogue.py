"""The catalogue is read from the plug-ins' own files."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import federated.aggregation
from federated import plugins
from federated.algorithm import KINDS, PRESETS
from federated.catalogue import PACKAGES, Option, entries, presets, source
from federated.errors import ConfigError

TOY = '''"""Every second update, for a test (Doe et al. 2031, arXiv:3101.00001, equation 7).

It ignores half of the hospitals.
"""

from typing import Annotated, Literal

from pydantic import Field

from federated.plugins import options


@options
class EverySecond:
    """first: where to begin. how: which mean."""

    first: Annotated[int, Field(ge=0, lt=2)] = 1
    how: Literal["plain", "weighted"] = "plain"
    names: tuple[str, ...] | None = None
'''


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A new plug-in file, and no other edit."""
    (tmp_path / "every_second.py").write_text(TOY)
    monkeypatch.setattr(
        federated.aggregation, "__path__", [*federated.aggregation.__path__, str(tmp_path)]
    )
    yield "every_second"
    sys.modules.pop("federated.aggregation.every_second", None)
    vars(federated.aggregation).pop("every_second", None)


def test_a_new_file_shows_with_its_options_and_paper(toy: str) -> None:
    (found,) = (one for one in entries("aggregation") if one.name == toy)
    assert found.source == "Doe et al. 2031, arXiv:3101.00001"
    assert found.summary.startswith("Every second update, for a test")
    assert found.options == (
        Option("first", "int ≥ 0, < 2", "1"),
        Option("how", "plain | weighted", "plain"),
        Option("names", "list of str or null", "null"),
    )
    assert "It ignores half of the hospitals." in found.text
    assert "first: where to begin." in found.text


@pytest.mark.parametrize("kind", PACKAGES)
def test_every_file_of_every_kind_is_listed(kind: str) -> None:
    assert [one.name for one in entries(kind)] == list(plugins.names(PACKAGES[kind]))
    assert all(one.summary for one in entries(kind))


def test_every_kind_of_rule_is_there() -> None:
    assert {*KINDS, "partition", "datasets", "models"} == {*PACKAGES}
    with pytest.raises(ConfigError, match="did you mean 'aggregation'"):
        entries("agregation")


def test_defaults_are_those_of_the_plug_in() -> None:
    for kind, package in PACKAGES.items():
        for one in entries(kind):
            if all(o.default != "required" for o in one.options):
                made = plugins.create(package, one.name, {}, kind)
                for option in one.options:
                    value = getattr(made, option.name)
                    if isinstance(value, int | float) and not isinstance(value, bool):
                        assert float(option.default) == value


def test_presets_are_named_with_their_choices_and_papers() -> None:
    found = {one.name: one for one in presets()}
    assert [*found] == [*PRESETS]
    assert found["local_sgd"].rules["local"] == "sgd steps=10"
    assert found["nnm"].source == (
        "Allouah et al. 2023, arXiv:2302.01772; Yin et al. 2018, arXiv:1803.01498"
    )
    # the mean, which is FedAvg's, is not what FedSGD is known by
    assert found["local_sgd"].rules["aggregation"] == "mean weighted_by=hospitals"
    assert "McMahan" not in (found["scaffold"].source or "")
    assert found["scaffold"].source == "Karimireddy et al. 2020, arXiv:1910.06378"
    assert "McMahan et al. 2017, arXiv:1602.05629" in (found["fedavg"].source or "")
    assert all(one.source for one in presets())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "FedAvg (McMahan et al. 2017, arXiv:1602.05629).",
            "McMahan et al. 2017, arXiv:1602.05629",
        ),
        ("Stich 2019 (arXiv:1805.09767)", "Stich 2019, arXiv:1805.09767"),
        ("as Li, Sahu and Smith 2020 (doi 10.1/x.2).", "Li, Sahu and Smith 2020, doi 10.1/x.2"),
        ("Li et al. 2020, and Li et al. 2020 again", "Li et al. 2020"),
        ("El Mhamdi et al. 2018 (arXiv:1802.07927)", "El Mhamdi et al. 2018, arXiv:1802.07927"),
        ("In Paris 2019 nothing was cited.", None),
        ("", None),
    ],
)
def test_references_are_found_and_never_invented(text: str, expected: str | None) -> None:
    assert source(text) == expected
