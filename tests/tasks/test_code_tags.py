"""A plug-in that no commit has shows in the run's tags, by its hash and by name."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from federated.config import load
from federated.weights import digest
from tasks import code_tags as tags
from tasks.code_tags import code_tags
from tasks.versions import uncommitted
from tests.conftest import ROOT
from tests.federated.test_catalogue import TOY, toy  # noqa: F401 - a fixture

MEAN = "federated/aggregation/mean.py"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A git repository with the code that it takes to look at."""
    for name in ("federated/__init__.py", MEAN):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    own = ("-c", "user.name=a", "-c", "user.email=a@b")
    for command in (["init", "-q"], ["add", "."], [*own, "commit", "-qm", "one"]):
        subprocess.run(["git", "-C", tmp_path, *command], check=True)
    return tmp_path


def test_every_rule_of_the_run_is_named_with_its_files_hash() -> None:
    config = load(ROOT / "params.yaml")
    found = code_tags(config, ROOT)
    rules = json.loads(found[tags.PLUG_INS])
    assert rules["federated.aggregation.mean"] == digest((ROOT / MEAN).read_bytes())[:12]
    assert {"models.logistic", "federated.local.sgd", "federated.server.sgd"} <= set(rules)
    assert len(found[tags.CODE]) == 64
    assert found[tags.DIRTY] in ("true", "false")
    assert len(found[tags.COMMIT]) == 40


def test_an_untracked_plug_in_makes_the_run_dirty(toy: str) -> None:  # noqa: F811
    found = code_tags(load(ROOT / "params.yaml", [f"algorithm.aggregation.name={toy}"]), ROOT)
    assert found[tags.DIRTY] == "true"
    assert found[tags.UNCOMMITTED].endswith(f"{toy}.py")
    rules = json.loads(found[tags.PLUG_INS])
    assert rules[f"federated.aggregation.{toy}"] == digest(TOY.encode())[:12]


def test_git_is_asked_of_the_files_that_were_used_alone(repository: Path) -> None:
    files = [str(repository / MEAN), str(repository / "federated/mine.py")]
    assert uncommitted(files, repository) == []
    (repository / "federated/other.py").write_text("")
    assert uncommitted(files, repository) == []
    (repository / "federated/mine.py").write_text("")
    assert uncommitted(files, repository) == ["federated/mine.py"]
    (repository / ".gitignore").write_text("mine.py\n")
    assert uncommitted(files, repository) == ["federated/mine.py"]
    (repository / MEAN).write_text("changed")
    assert uncommitted(files, repository) == [MEAN, "federated/mine.py"]
    assert uncommitted(["/elsewhere/rule.py"], repository)[-1] == "/elsewhere/rule.py"


def test_code_that_git_does_not_keep_has_its_hash_alone(tmp_path: Path) -> None:
    assert uncommitted([str(tmp_path / "rule.py")], tmp_path) == []
    assert tags.COMMIT not in code_tags(load(ROOT / "params.yaml"), tmp_path)
