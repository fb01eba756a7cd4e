"""A table that fits its terminal: nothing is cut, and names stay on one line."""

from io import StringIO

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from federated.contrast import SeedResult, contrast
from tasks.contrast_table import contrast_table
from tasks.fitted_table import Column, FittedTable, split
from tasks.published_table import published_table

SETTINGS = ("fedavg_hospitals=10", "geometric_median_hospitals=10")


def shown(table: object, width: int) -> list[str]:
    console = Console(width=width, file=StringIO(), force_terminal=False)
    console.print(table)
    assert isinstance(console.file, StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def study() -> list[SeedResult]:
    """Five figures a setting, two of them costs that print wide."""
    names = ("auroc", "mean_hospital_accuracy", "worst_hospital_accuracy")
    return [
        SeedResult(
            setting,
            seed,
            dict.fromkeys(names, 0.61 + 0.01 * seed + 0.1 * i),
            {"auroc": ((0, 0.5), (1, 0.7))},
            {"bytes_sent": 123_456_789_000, "seconds": 1.0}
            | ({"rounds_to_target": 12} if seed else {}),
        )
        for i, setting in enumerate(SETTINGS)
        for seed in range(4)
    ]


def test_a_comparison_at_80_columns_has_every_figure_and_name_whole() -> None:
    columns = ["auroc", "mean_hospital_accuracy", "worst_hospital_accuracy"]
    lines = shown(contrast_table(contrast(study(), columns), "a study"), 80)
    assert max(map(len, lines)) <= 80
    assert "…" not in "".join(lines)
    rows = [line.split() for line in lines if line.startswith(f" {SETTINGS[1]} ")]
    # 0.71 … 0.74: mean 0.725, t₃ s/√4 = 3.182 · 0.0129 / 2
    assert rows == [
        [SETTINGS[1], "4", "0.725±0.021", "0.725±0.021"],
        [SETTINGS[1], "0.725±0.021", "12.0", "(3/4)", "123,456,789.0"],
        [SETTINGS[1], "1.0"],
    ]


def test_with_room_it_is_one_table() -> None:
    lines = shown(contrast_table(contrast(study(), ["auroc"]), "a study"), 10_000)
    assert sum(line.startswith(f" {SETTINGS[0]} ") for line in lines) == 1
    assert max(map(len, lines)) < 140  # no wider than what it holds


def test_published_figures_fit_80_columns() -> None:
    published = {name: {"mean_hospital_accuracy": (0.685, 0.0283, 5)} for name in SETTINGS}
    lines = shown(published_table(study(), published), 80)
    assert "…" not in "".join(lines)
    # (0.61 + … + 0.64) / 4; s = 0.0129
    assert any("fedavg_hospitals=10 " in x and "0.6250 ± 0.0129" in x for x in lines)


def test_a_name_wider_than_half_of_the_terminal_is_folded_not_cut() -> None:
    name = "x" * 70
    table = FittedTable("", "", Column("Setting", [name]), [Column("AUROC", ["0.9"])])
    lines = shown(table, 80)
    assert sum(line.count("x") for line in lines) == 70
    assert any("0.9" in line for line in lines)


@given(st.lists(st.integers(1, 30), min_size=1, max_size=12), st.integers(0, 80))
def test_every_column_is_in_one_part_and_parts_fit(widths: list[int], room: int) -> None:
    columns = [Column("x" * width, []) for width in widths]
    parts = split(columns, room)
    assert [one for part in parts for one in part] == columns
    for part in parts:
        assert len(part) == 1 or sum(3 + one.width for one in part) <= room
