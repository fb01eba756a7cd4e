"""The tables of docs/choosing.md, from made-up studies, by hand."""

from pathlib import Path

import pytest

from benchmarks.study_tables import main
from federated.study import Study, Target
from tests.tasks.study_folder import write_folder

PUBLISHED = {"b": {"auroc": (0.65, 0.02, 5), "north/auroc": (0.71, 0.0, 5)}}


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    main(arguments)
    return capsys.readouterr().out.splitlines()


def test_means_differences_and_published(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = Study(
        name="plain",
        seeds=(1, 2, 3),
        settings={"a": None, "b": None, "c": None},
        metrics=("auroc",),
        target=Target(metric="auroc", value=0.605),
        published=PUBLISHED,
    )
    values = {
        "a": {1: 0.60, 2: 0.61, 3: 0.62},
        "b": {1: 0.70, 2: 0.72, 3: 0.71},
        "c": {1: 0.60, 2: 0.61, 3: 0.62},
    }
    lines = printed(capsys, str(write_folder(tmp_path / "plain", study, values)))
    assert "9 of 9 runs are finished; seeds 1, 2, 3." in lines
    assert (
        "| Setting | Seeds | AUROC | AUROC, worst hospital | Rounds to AUROC 0.605 | kB sent |"
        in lines
    )
    # t₂ = 4.303, s = 0.01: half of the interval 4.303 · 0.01 / √3; two of three seeds get there
    assert "| a | 3 | 0.610 ± 0.025 | 0.610 ± 0.025 | 2.0 (2/3) | 2,000.0 |" in lines
    # differences 0.10, 0.11, 0.09: t = 0.1 / (0.01 / √3) = 17.3, two-sided p₂ 0.0033, Holm twice
    assert "| b | **+0.1000, p = 0.007** |" in lines
    assert "| c | +0.0000, p = 1.000 |" in lines
    assert "p corrected for 2 comparisons (Holm)." in lines
    by_hospital = printed(capsys, "--hospitals", "auroc", str(tmp_path / "plain"))
    assert "| Setting | north | south |" in by_hospital
    assert "| a | 0.610 ± 0.025 | 0.610 ± 0.025 |" in by_hospital
    # standard error √(0.01²/3 + 0.02²/5) = 0.01065
    assert "| b | AUROC | 3, 5 | 0.7100 ± 0.0100 | 0.6500 ± 0.0200 | +0.0600 | +5.6 |" in lines
    assert (
        "| b | AUROC, north | 3, 5 | 0.7100 ± 0.0100 | 0.7100 ± 0.0000 | +0.0000 | +0.0 |" in lines
    )


def test_a_grid_is_a_line_a_setting_and_says_what_did_not_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = Study(
        name="grid",
        seeds=(1,),
        settings={"a": None, "a_b": None},
        grid={"data.partition.hospitals": [3, 10]},
        metrics=("auroc",),
        target=Target(metric="auroc", value=0.9),
    )
    values = {
        "a_hospitals=3": {1: 0.95},
        "a_b_hospitals=3": {1: 0.85},
        "a_b_hospitals=10": {1: 0.91},
    }
    lines = printed(capsys, str(write_folder(tmp_path / "grid", study, values)))
    assert "3 of 4 runs are finished; seeds 1." in lines
    table = [line for line in lines if line.startswith("|")]
    assert table[0].startswith("| Setting | hospitals=3: AUROC | Rounds to AUROC 0.9 | MB sent |")
    assert table[2:] == [
        "| a | 0.950 | 2 | 2.0 | not run | not run | not run |",
        "| a_b | 0.850 | — | 2.0 | 0.910 | 2 | 2.0 |",
    ]
