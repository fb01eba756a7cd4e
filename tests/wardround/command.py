"""The installed `wardround` script as a user runs it: its own process in a project folder."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT

SCRIPT = Path(sys.executable).with_name("wardround")
RAW = "data/raw/heart_disease.csv"


def environment(**changes: str) -> dict[str, str]:
    """This process's environment, in which the script is found first, with changes."""
    path = os.pathsep.join([str(SCRIPT.parent), os.environ["PATH"]])
    return {**os.environ, "PATH": path, "NO_COLOR": "1", "COLUMNS": "200", **changes}


def wardround(project: Path, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
    """Run the script to its end; `changes` are environment variables."""
    return subprocess.run(
        [SCRIPT, *arguments],
        cwd=project,
        env=environment(**changes),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def heart_project(folder: Path) -> Path:
    """A project with this repository's own raw data and params.yaml, and nothing made of them."""
    (folder / RAW).parent.mkdir(parents=True)
    shutil.copy(ROOT / RAW, folder / RAW)
    shutil.copy(ROOT / "params.yaml", folder)
    return folder


def alter(project: Path, hospital: str, column: str, cell: str, *, rows: int = 1) -> None:
    """Overwrite a column's cells in the first `rows` raw rows of a hospital."""
    path = project / RAW
    header, *lines = path.read_text().splitlines()
    at = header.split(",").index(column)
    for number, line in enumerate(lines):
        cells = line.split(",")
        if rows and cells[0] == hospital:
            cells[at] = cell
            lines[number] = ",".join(cells)
            rows -= 1
    path.write_text("\n".join([header, *lines, ""]))
