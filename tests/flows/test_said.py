"""Training tells what was made of a file, and what of each hospital was set aside."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.conftest import Project


def test_training_says_what_was_inferred_and_set_aside(
    make_project: Project,
    train: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    rows = np.arange(60)
    frame = pd.DataFrame(
        {
            "site": np.where(rows < 30, "north", "south"),
            "age": 30 + rows % 7,
            "crp": np.where(rows % 4 == 0, "<5", rows.astype(str)),
            "hb": np.where(rows == 31, "12 g", (rows % 9).astype(str)),
            "died": np.where(rows % 3 == 0, "yes", "no"),
        }
    )
    frame.loc[[2, 3], "died"] = ""
    source = {"path": "mine.csv", "target": "died", "hospital": "site"}
    run = {"rounds": 1, "baselines": [], "registered_model": False}
    project = make_project(data={"dataset": "table"}, run=run)
    frame.to_csv(project / "mine.csv", index=False)
    asked = ", ".join(f"{key}: {value}" for key, value in source.items())
    monkeypatch.setenv("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    train(project, f"data.source={{{asked}}}")
    said = [line for line in capfd.readouterr().err.splitlines() if line.startswith("note: ")]
    assert said.count("note: values beyond a limit (<5) read as missing in crp (15 cells)") == 1
    assert "note: kinds inferred: numeric age, crp, hb" in said
    assert "note: north: set aside 2 of 30 rows (2× died: missing)" in said
    assert "note: south: cells read as missing 1× hb: not a number" in said
    page = (project / "reports/report.html").read_text()
    assert "values beyond a limit (&lt;5) read as missing in crp (15 cells)" in page
    assert "of which 1 × hb: not a number" in page
