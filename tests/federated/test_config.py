"""Whatever is wrong in params.yaml or --set is refused with a message that says what to do."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from federated.config import Config, load
from federated.errors import ConfigError
from federated.initial import build
from tests.conftest import ROOT

PARAMS = ROOT / "params.yaml"


def refused(*overrides: str) -> str:
    """The message with which the project's params.yaml and these overrides are refused."""
    with pytest.raises(ConfigError) as refusal:
        load(PARAMS, overrides)
    return str(refusal.value)


def written(folder: Path, values: Any) -> Path:
    path = folder / "params.yaml"
    path.write_text(values if isinstance(values, str) else yaml.safe_dump(values))
    return path


def test_the_projects_own_file_is_valid_and_every_key_of_it_is_used() -> None:
    assert load(PARAMS).unused() == []


@pytest.mark.parametrize(
    ("override", "key", "nearest"),
    [
        ("run.round=3", "run.round", "rounds"),
        ("rnu=3", "rnu", "run"),
        ("data.seeds=1", "data.seeds", "seed"),
        ("evaluation.score_bin=20", "evaluation.score_bin", "score_bins"),
        ("algorithm.locale={}", "algorithm.locale", "local"),
        ("algorithm.local.learning_rate=1", "algorithm.local.learning_rate", "lr"),
        ("algorithm.local.epoch=1", "algorithm.local.epoch", "epochs"),
        ("algorithm.selection.fractions=0.5", "algorithm.selection.fractions", "fraction"),
        ("model.hiden=[4]", "model.hiden", "hidden"),
        ("data.partition.alhpa=1", "data.partition.alhpa", "alpha"),
        ("data.source.pth=a.csv", "data.source.pth", "path"),
    ],
)
def test_an_unknown_key_is_answered_with_the_nearest(override: str, key: str, nearest: str) -> None:
    message = refused(override)
    assert f"unknown key {key};" in message
    assert nearest in message.split("valid:")[1]
    if nearest != "lr":  # nothing is near to learning_rate: all are listed
        assert f"did you mean {nearest!r}?" in message


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("data.dataset=heart_diseases", "did you mean 'heart_disease'?"),
        ("data.partition.name=dirichle", "did you mean 'dirichlet'?"),
        ("model.name=cn", "did you mean 'cnn'?"),
        ("algorithm.name=fedavgs", "no algorithm is called 'fedavgs'; did you mean 'fedavg'?"),
        ("algorithm.local.name=sdg", "no local is called 'sdg'; did you mean 'sgd'?"),
        ("algorithm.aggregation.name=maen", "did you mean 'mean'?"),
        ("algorithm.server.name=sg", "did you mean 'sgd'?"),
        ("algorithm.selection.name=unifrom", "did you mean 'uniform'?"),
        ("model.name=null", "model.name: expected a name (got None)"),
        ("data.partition={}", "data.partition.name: expected a name (got None)"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(override: str, expected: str) -> None:
    assert expected in refused(override)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("run.rounds=many", "run.rounds: Input should be a valid integer (got 'many')"),
        ("run.rounds=2.5", "run.rounds: Input should be a valid integer"),
        ("run.rounds=true", "run.rounds: Input should be a valid integer (got True)"),
        ("run.parallel=1", "run.parallel: Input should be a valid boolean (got 1)"),
        ("run.name=7", "run.name: Input should be a valid string (got 7)"),
        ("run.rounds=0", "run.rounds: Input should be greater than or equal to 1 (got 0)"),
        ("data.test_fraction=1", "data.test_fraction: Input should be less than 1"),
        ("data.validation_fraction=1", "data.validation_fraction: Input should be less than 1"),
        ("data.validation_fraction=-0.1", "data.validation_fraction: Input should be greater"),
        (
            "data.validation_fraction=0.66",
            "data.validation_fraction: Value error, with data.test_fraction 0.34 it leaves no rows",
        ),
        ("data.min_rows=1", "data.min_rows: Input should be greater than or equal to 2"),
        ("data.scaling=global", "data.scaling: Input should be 'hospital', 'federated' or 'off'"),
        ("data.hospitals=cleveland", "data.hospitals: Input should be a valid tuple"),
        ("data.hospitals=[a, a]", "a hospital is listed twice"),
        ("data.hospitals=[../a]", "'../a' cannot be the name of a hospital's folder"),
        ("data.hospitals=[global]", "'global' stands for all hospitals in the reports"),
        ("run.baselines=[all]", "run.baselines.0: Input should be 'alone' or 'pooled'"),
        ("algorithm.local.lr=0", "algorithm.local.lr: Input should be greater than 0 (got 0)"),
        ("algorithm.local.lr=.nan", "algorithm.local.lr: Input should be a finite number"),
        ("algorithm.local.batch_size=0", "algorithm.local.batch_size: Input should be greater"),
        ("algorithm.server.lr=fast", "algorithm.server.lr: Input should be a valid number"),
        ("algorithm.local=sgd", "algorithm.local: Input should be a valid dictionary"),
        ("model=cnn", "model: Input should be a valid dictionary (got 'cnn')"),
    ],
)
def test_a_wrong_type_or_range_is_refused(override: str, expected: str) -> None:
    assert expected in refused(override)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("run.rounds", "--set 'run.rounds': expected section.key=value"),
        ("=3", "--set '=3': expected section.key=value"),
        ("run.=3", "--set 'run.=3': expected section.key=value"),
        ("run..rounds=3", "--set 'run..rounds=3': expected section.key=value"),
        ("runs.rounds=3", "there is no section 'runs'; did you mean 'run'?"),
        ("algorithm.locl.lr=3", "--set algorithm.locl.lr: there is no section 'locl'; did you"),
        ("run.rounds.x=3", "--set run.rounds.x: run.rounds is a value, not a section"),
        ("run.rounds=[1", "--set 'run.rounds=[1': not a YAML value"),
    ],
)
def test_a_malformed_override_is_refused(override: str, expected: str) -> None:
    assert expected in refused(override)


def test_every_fault_is_told_at_once() -> None:
    message = refused("run.rounds=0", "run.sed=1", "data.min_rows=1")
    assert {"run.rounds", "run.sed", "data.min_rows"} <= {
        word.strip(":;") for word in message.split()
    }


def test_a_missing_section_or_key_is_named(tmp_path: Path) -> None:
    values = yaml.safe_load(PARAMS.read_text())
    del values["evaluation"], values["run"]["seed"]
    with pytest.raises(ConfigError) as refusal:
        load(written(tmp_path, values))
    assert "evaluation: missing" in str(refusal.value)
    assert "run.seed: missing" in str(refusal.value)


def test_the_file_itself_is_missing_or_not_readable(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: no such file; .*--params"):
        load(tmp_path / "nowhere.yaml")
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path)
    for text, why in (
        ("run: [1", "not valid YAML"),
        ("run: {seed: 1}\nrun: {seed: 2}", "the key 'run' stands twice"),
        ("- run", "expected sections"),
        ("", "expected sections"),
    ):
        with pytest.raises(ConfigError, match=why):
            load(written(tmp_path, text))
    (tmp_path / "params.yaml").write_bytes(b"run: \xff")
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "params.yaml")


def test_an_override_may_add_an_option_that_the_file_leaves_out() -> None:
    values = yaml.safe_load(PARAMS.read_text())
    assert "weighted_by" not in values["algorithm"]["aggregation"]
    assert "fraction" not in values["algorithm"]["selection"]
    config = load(
        PARAMS,
        [
            "algorithm.aggregation.weighted_by=hospitals",
            "algorithm.selection.name=uniform",
            "algorithm.selection.fraction=0.5",
        ],
    )
    assert config.algorithm.rules.aggregation.weighted_by == "hospitals"
    assert config.algorithm.rules.selection.fraction == 0.5


def test_overrides_are_yaml_values_and_the_last_one_counts() -> None:
    config = load(PARAMS, ["run.name=a=b", "algorithm.local.lr=1", "algorithm.local.lr=1e-3"])
    assert config.run.name == "a=b"
    assert config.algorithm.rules.local.lr == 0.001
    assert load(PARAMS, ["algorithm.local.lr=2.5E+1"]).algorithm.rules.local.lr == 25.0


def test_null_leaves_a_presets_value_and_else_means_none() -> None:
    def local(*overrides: str) -> Any:
        return load(PARAMS, overrides).algorithm.rules.local

    assert local().steps is None
    assert local("algorithm.name=local_sgd").steps == 10
    assert local("algorithm.name=local_sgd", "algorithm.local.steps=3").steps == 3
    whole = local("algorithm.local.batch_size=null", "algorithm.local.epochs=5")
    assert whole.batch_size is None
    assert whole.step_count(rows=1000) == 5
    assert local("algorithm.local.batch_size=100").step_count(rows=1000) == 20


def test_options_without_effect_are_listed() -> None:
    def unused(*overrides: str) -> list[str]:
        return load(PARAMS, overrides).unused()

    assert unused("algorithm.name=fedsgd") == [
        "algorithm.local.batch_size",
        "algorithm.local.epochs",
    ]
    assert unused("algorithm.name=sum", "algorithm.aggregation.weighted_by=hospitals") == [
        "algorithm.local.batch_size",
        "algorithm.local.epochs",
        "algorithm.aggregation.weighted_by",
    ]
    assert unused("model.hidden=[4]", "data.partition.alpha=0.5") == [
        "model.hidden",
        "data.partition.alpha",
    ]
    assert unused("model.name=mlp", "model.hidden=[4]") == []


def test_a_network_of_images_is_refused_for_a_table() -> None:
    config = load(PARAMS, ["model.name=cnn"])
    with pytest.raises(ConfigError, match="needs images of 28×28, the data give 26; choose mlp"):
        build(config.architecture, (26,), 1, config.run.seed)


def test_a_config_cannot_be_changed() -> None:
    config: Config = load(PARAMS)
    with pytest.raises(ValueError, match="frozen"):
        config.run.rounds = 5  # type: ignore[misc]


def test_a_rule_in_place_of_the_presets_own_shows_in_the_runs_name() -> None:
    def label(*overrides: str) -> str:
        return str(load(PARAMS, overrides).algorithm.rules.label)

    assert label() == "fedavg"
    assert label("algorithm.aggregation.name=sum") == "fedavg (aggregation sum)"
    assert label("algorithm.name=sum", "algorithm.local.name=sgd") == "sum (local sgd)"
