"""Our figures beside published ones, by hand."""

from rich.console import Console

from federated.contrast import SeedResult
from federated.study import Figure
from tasks.published_table import published_table


def text(published: dict[str, dict[str, Figure]]) -> str:
    """The table as a wide terminal shows it; two seeds of `ours` came to 0.6 and 0.8."""
    results = [SeedResult("ours", seed, {"auroc": v}, {}) for seed, v in ((1, 0.6), (2, 0.8))]
    console = Console(width=200, record=True)
    console.print(published_table(results, published))
    return console.export_text()


def test_mean_deviation_and_difference_stand_side_by_side() -> None:
    shown = text({"ours": {"auroc": (0.65, 0.02, 5)}})
    # (0.6 + 0.8) / 2 and their deviation √0.02; 0.05 / √(0.02 / 2 + 0.0004 / 5)
    for cell in ("AUROC", "0.7000 ± 0.1414", "0.6500 ± 0.0200", "+0.0500", "+0.5"):
        assert cell in shown


def test_a_setting_that_has_not_run_has_dashes() -> None:
    line = next(x for x in text({"other": {"auroc": (0.5, 0.1, 5)}}).splitlines() if "other" in x)
    assert line.split() == ["other", "0,", "5", "—", "0.5000", "±", "0.1000", "—", "—"]
