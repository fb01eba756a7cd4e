"""The systemd units, in which systemd itself finds no fault, and the compose file.

`tests/flows/test_production_servers.py` runs the servers of the latter.
"""

import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from tasks.production import mlflow_server, own_servers, prefect_server
from tests.composed import composed
from tests.conftest import ROOT
from tests.wardround.command import SCRIPT

UNITS = sorted((ROOT / "deploy").glob("*.service"))


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here")
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_unit_is_valid(unit: Path, tmp_path: Path) -> None:
    """With this installation's commands in place of /opt/wardround's, which must be there."""
    here = unit.read_text().replace("/opt/wardround/.venv/bin", str(SCRIPT.parent))
    here = here.replace("/opt/wardround", str(tmp_path)).replace("File=/etc", "File=-/etc")
    copied = tmp_path / unit.name
    copied.write_text(here)
    done = subprocess.run(
        ["systemd-analyze", "verify", str(copied)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_there_is_one_for_each_part() -> None:
    assert [unit.stem.removeprefix("wardround-") for unit in UNITS] == [
        "coordinator",
        "mlflow",
        "prefect",
        "site",
    ]


VALUES = dict.fromkeys(
    ("POSTGRES_PASSWORD", "PREFECT_AUTH", "MLFLOW_USER", "MLFLOW_PASSWORD", "MLFLOW_SECRET"), "x"
) | {"PREFECT_HOST": "prefect.example.org", "MLFLOW_HOST": "mlflow.example.org"}


def unit_command(name: str) -> list[str]:
    """ExecStart, as a container would run it."""
    text = (ROOT / "deploy" / f"wardround-{name}.service").read_text()
    (line,) = [one for one in text.splitlines() if one.startswith("ExecStart=")]
    return shlex.split(line.removeprefix("ExecStart=").replace("/opt/wardround/.venv/bin/", ""))


@pytest.mark.parametrize("name", ["prefect", "mlflow", "coordinator"])
def test_a_container_runs_what_the_unit_runs(name: str) -> None:
    """But for where it listens and keeps its files, and how many processes of MLflow there are."""
    ours = set(composed(VALUES).command(name)) - {"0.0.0.0", "/artifacts", "--workers", "1"}
    theirs = set(unit_command(name)) - {"127.0.0.1", "/opt/wardround/mlartifacts"}
    where = {"run.tracking_uri=https://mlflow.example.org"} if name == "coordinator" else set()
    assert ours == theirs | where


def test_what_the_containers_are_told_passes_the_checks_of_production() -> None:
    parts = composed(VALUES)
    own = {**parts.environment("prefect"), **parts.environment("mlflow")}
    center = parts.environment("coordinator")
    checks = [
        *prefect_server(center["PREFECT_API_URL"], center["PREFECT_API_AUTH_STRING"]),
        *mlflow_server("https://mlflow.example.org", center),
        *own_servers(own),
    ]
    assert [one.what for one in checks if not one.ok] == []
    assert len(checks) == 7


def test_only_the_proxy_listens_outside() -> None:
    parts = composed(VALUES)
    assert [name for name, one in parts.services.items() if "ports" in one] == ["proxy"]
    for name, one in parts.services.items():
        used = {given["source"] for given in one.get("configs", [])}
        assert used <= parts.configs.keys(), name
        assert set(one.get("depends_on", [])) <= parts.services.keys(), name


def test_an_image_gets_code_alone() -> None:
    """No records, keys, audit logs or runs: what is let in is the installation's code."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    let_in = {one[1:] for one in lines if one.startswith("!")}
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"][
        "packages"
    ]
    files = {"pyproject.toml", "constraints.txt", "README.md", "LICENSE"}
    assert lines[1] == "*"
    assert let_in == files | {one for one in packages if "." not in one}
