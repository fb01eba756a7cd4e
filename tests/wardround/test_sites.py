import shutil
import stat
from pathlib import Path

import pytest
import yaml

from federated.config import load
from tasks.exchange import keys
from tasks.exchange.audit import Event, opened
from tasks.exchange.roster import read_roster
from tasks.exchange.site import read_site
from tasks.workspace import ensure_data, workspace
from tests.wardround.command import heart_project, wardround


@pytest.fixture
def coordinator(tmp_path: Path) -> tuple[Path, str]:
    """A coordinator's folder, and its public key."""
    folder = tmp_path / "coordinator"
    folder.mkdir()
    done = wardround(folder, "roster", "init")
    return folder, done.stdout.split()[-1]


@pytest.fixture(scope="module")
def hospitals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folders of the heart-disease hospitals, made from the raw data."""
    project = heart_project(tmp_path_factory.mktemp("project"))
    config = load(project / "params.yaml")
    ensure_data(workspace(project, config), config)
    return project / "data" / "hospitals"


@pytest.fixture
def data(hospitals: Path, tmp_path: Path) -> Path:
    """A site's folder with a hospital's data."""
    shutil.copytree(hospitals / "va", tmp_path / "site" / "data" / "va")
    return tmp_path / "site"


def test_from_nothing_to_a_roster(coordinator: tuple[Path, str], data: Path) -> None:
    folder, key = coordinator
    given = ("--data", "data/va", "--coordinator", key, "--exchange", "s3://bucket/exchange")
    done = wardround(data, "site", "init", "va", *given)
    assert done.returncode == 0, done.stderr
    command = done.stdout.splitlines()[-1].split()
    assert command[:4] == ["wardround", "roster", "add", "va"]
    found = read_site(data / "site.yaml")
    assert (found.coordinator.text, found.policy.approval) == (key, "required")
    assert stat.S_IMODE((data / "keys" / "va").stat().st_mode) == 0o600
    assert wardround(folder, *command[1:]).returncode == 0
    member = read_roster(folder / "roster.yaml").hospitals["va"]
    assert member.key == keys.load(data / "keys" / "va").public
    assert member.max_examples == int(command[-1]) > 0
    assert member.key.text in wardround(folder, "roster", "list").stdout


def test_nothing_is_overwritten(coordinator: tuple[Path, str], data: Path) -> None:
    folder, key = coordinator
    given = ("--data", "data/va", "--coordinator", key, "--exchange", "../exchange")
    wardround(data, "site", "init", "va", *given)
    before = (data / "site.yaml").read_bytes(), (data / "keys" / "va").read_bytes()
    again = wardround(data, "site", "init", "va", *given)
    assert again.returncode == 1
    assert "site.yaml exists" in again.stderr
    assert ((data / "site.yaml").read_bytes(), (data / "keys" / "va").read_bytes()) == before
    assert "never overwritten" in wardround(folder, "roster", "init").stderr


@pytest.mark.parametrize(
    ("name", "path", "said"),
    [
        ("VA", "data/va", "cannot name a hospital"),
        ("cleveland", "data/va", "the folder of hospital 'va'"),
        ("va", "data/nowhere", "no such file"),
    ],
)
def test_what_is_wrong_is_named(
    coordinator: tuple[Path, str], data: Path, name: str, path: str, said: str
) -> None:
    given = ("--coordinator", coordinator[1], "--exchange", "../exchange")
    done = wardround(data, "site", "init", name, "--data", path, *given)
    assert done.returncode == 1
    assert said in done.stderr
    assert not (data / "site.yaml").exists()


def test_a_site_file_with_a_fault_names_it(data: Path) -> None:
    (data / "site.yaml").write_text(yaml.safe_dump({"name": "va", "polcy": {}}))
    done = wardround(data, "site", "join")
    assert done.returncode == 1
    assert "unknown key polcy" in done.stderr


def test_an_audit_log_is_verified_and_shown(coordinator: tuple[Path, str]) -> None:
    folder, key = coordinator
    with opened(folder / "audit", keys.load(folder / "keys" / "coordinator")) as audit:
        audit.append(Event("accepted", "va", 3, {"examples": 85}))
    done = wardround(folder, "audit", "verify")
    assert "1 entries, all as they were written" in done.stdout
    noted = done.stdout.split()[-1]
    assert wardround(folder, "audit", "verify", "--key", key, "--at-least", noted).returncode == 0
    shown = wardround(folder, "audit", "show").stdout
    assert "accepted" in shown
    assert "examples 85" in shown
    log = folder / "audit" / "log.jsonl"
    log.write_bytes(log.read_bytes().replace(b"85", b"86"))
    done = wardround(folder, "audit", "verify")
    assert done.returncode == 1
    assert "line 1: its content is not what was hashed" in done.stderr
