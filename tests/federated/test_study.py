"""From a study file to its runs."""

from pathlib import Path

import pytest

from federated.config import load
from federated.errors import ConfigError
from federated.study import read_study, runs, variants
from tests.conftest import ROOT

PLAIN = """
name: plain
base: {run.rounds: 7, run.baselines: [alone]}
seeds: [5, 6]
settings:
  fedavg:
  gentle: {algorithm.name: local_sgd, algorithm.local.lr: 1e-3}
"""


def study_file(folder: Path, text: str) -> Path:
    path = folder / "study.yaml"
    path.write_text(text)
    return path


def test_every_setting_with_every_seed(tmp_path: Path) -> None:
    found = runs(read_study(study_file(tmp_path, PLAIN)))
    assert [(r.setting, r.seed) for r in found] == [
        ("fedavg", 5),
        ("gentle", 5),
        ("fedavg", 6),
        ("gentle", 6),
    ]
    assert found[1].label == "gentle · seed 5"
    assert found[1].folder == Path("gentle/seed-5")


def test_overrides_are_those_of_a_run(tmp_path: Path) -> None:
    last = runs(read_study(study_file(tmp_path, PLAIN)))[-1]
    config = load(ROOT / "params.yaml", last.overrides)
    assert (config.run.rounds, config.run.seed, config.run.name) == (7, 6, "gentle · seed 6")
    assert (config.experiment, config.registered_model) == ("plain", None)
    assert config.run.baselines == ("alone",)
    assert (config.algorithm.name, config.algorithm.rules.local.lr) == ("local_sgd", 1e-3)


def test_baselines_are_off_unless_asked_for(tmp_path: Path) -> None:
    text = PLAIN.replace(", run.baselines: [alone]", "")
    run = runs(read_study(study_file(tmp_path, text)))[0]
    assert load(ROOT / "params.yaml", run.overrides).run.baselines == ()


def test_a_grid_is_crossed_with_every_setting(tmp_path: Path) -> None:
    grid = "grid: {algorithm.local.lr: [0.1, 1e-3], algorithm.local.batch_size: [4, null]}\n"
    study = read_study(study_file(tmp_path, PLAIN + grid))
    assert [*variants(study)][:4] == [
        "fedavg_lr=0.1_batch_size=4",
        "fedavg_lr=0.1_batch_size=null",
        "fedavg_lr=0.001_batch_size=4",
        "fedavg_lr=0.001_batch_size=null",
    ]
    assert len(runs(study)) == 2 * 4 * 2
    config = load(ROOT / "params.yaml", runs(study)[1].overrides)
    assert config.algorithm.rules.local.batch_size is None


def test_grid_keys_of_one_last_part_are_told_apart(tmp_path: Path) -> None:
    grid = "grid: {algorithm.local.lr: [0.1], algorithm.server.lr: [1.0]}\n"
    name = next(iter(variants(read_study(study_file(tmp_path, PLAIN + grid)))))
    assert name == "fedavg_algorithm.local.lr=0.1_algorithm.server.lr=1.0"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (PLAIN + "seed: 3\n", "unknown key seed; did you mean 'seeds'?"),
        (PLAIN + "target: {metrik: auroc, value: 1}\n", "target.metrik; did you mean 'metric'?"),
        (PLAIN + "target: {metric: auroc}\n", "target.value: missing"),
        (PLAIN.replace("[5, 6]", "[5, 5]"), "a seed is listed twice"),
        (PLAIN.replace("[5, 6]", "[]"), "seeds: "),
        (PLAIN.replace("[5, 6]", "[-1]"), "a seed must be at least 0"),
        (PLAIN.replace("name: plain", "name: ../plain"), "cannot be a folder's name"),
        (PLAIN.replace("gentle:", "a/b:"), "'a/b' cannot be a folder's name"),
        (PLAIN.replace("run.rounds: 7", "run.seed: 7"), "run.seed is set by the study itself"),
        (PLAIN + "grid: {run.rounds: []}\n", "run.rounds has no values"),
        (PLAIN + "grid: {run.name: [a]}\n", "run.name is set by the study itself"),
        (PLAIN + "reference: fedvag\n", "no setting is called 'fedvag'; did you mean 'fedavg'?"),
        ("name: x\n", "settings: missing"),
        ("[]", "expected keys such as name:"),
        ("{", "not valid YAML"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        read_study(study_file(tmp_path, text))
    assert message in str(error.value)
    assert "study.yaml" in str(error.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: no such file"):
        read_study(tmp_path / "nowhere.yaml")


@pytest.mark.parametrize("path", sorted(ROOT.glob("studies/*/*.yaml")), ids=str)
def test_the_studies_of_this_project_are_valid(path: Path) -> None:
    study = read_study(path)
    params = path.parent / study.params if study.params else ROOT / "params.yaml"
    for run in runs(study):
        load(params, run.overrides)
