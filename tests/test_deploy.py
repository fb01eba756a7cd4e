"""The systemd units: systemd itself finds no fault in them."""

import shutil
import subprocess
from pathlib import Path

import pytest

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
