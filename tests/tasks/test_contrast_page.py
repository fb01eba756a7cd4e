"""compare.html and the terminal's table, from made-up results."""

import re
from io import StringIO

from rich.console import Console

from federated.contrast import Contrast, SeedResult, contrast
from tasks.contrast_page import html
from tasks.contrast_table import contrast_table
from tests.tasks.test_report import Page

EVIL = "<script>alert(1)</script>"


def made(other: str = "b", shift: float = 0.1, seeds: int = 4) -> Contrast:
    found = []
    for name, add in (("a", 0.0), (other, shift)):
        for seed in range(seeds):
            value = 0.6 + 0.01 * seed + add * (1 + seed / 100)
            final = {"auroc": value, "mean_hospital_auroc": value, "worst_hospital_auroc": 0.5}
            curves = {"auroc": ((0, 0.5), (1, value))}
            costs = {"seconds": 3.0, "bytes_sent": 2_500_000}
            costs |= {"rounds_to_target": 1} if seed else {}
            found.append(SeedResult(name, seed, final, curves, costs))
    return contrast(found, ["auroc"])


def terminal(found: Contrast) -> str:
    console = Console(width=100, file=StringIO(), force_terminal=False)
    console.print(contrast_table(found, "a study"))
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_the_page_needs_nothing_beside_it_and_is_the_same_bytes() -> None:
    text = html(made(), "a study", "two settings")
    assert text == html(made(), "a study", "two settings")
    page = Page(text)
    assert page.open == []
    assert {tag for tag, _ in page.elements} & {"script", "link", "img", "iframe"} == set()
    assert not re.search(r"https?://|url\((?!#)", text)
    assert re.findall(r"#0a0[bc]\d\d", text) == []  # every colour of a plot is the page's


def test_names_are_escaped() -> None:
    text = html(made(EVIL), EVIL, "")
    assert "<script" not in text
    assert EVIL in Page(text).text


def test_figures_and_verdicts_are_on_the_page() -> None:
    text = Page(html(made(), "a study", "")).text
    assert "0.615 ± 0.021" in text  # 0.60 … 0.63: s = 0.0129, t₃ = 3.182
    assert "b: AUROC is 0.101 higher than a's (better)" in text
    assert "2,500.0" in text  # kB sent
    assert "1.0 (3/4)" in text  # three of four seeds reached the target
    noise = Page(html(made(shift=0.0), "a study", "")).text
    assert "No difference to a is beyond noise" in noise
    assert "no difference" in noise


def test_few_seeds_and_one_setting() -> None:
    assert "too few seeds" in Page(html(made(seeds=2), "a study", "")).text
    alone = contrast(
        [SeedResult("a", 1, {"auroc": 0.5, "worst_hospital_auroc": 0.4}, {})], ["auroc"]
    )
    text = Page(html(alone, "one", "")).text
    assert "Against" not in text
    assert "0.500" in text


def test_the_terminal_says_the_same() -> None:
    text = terminal(made("[red]b[/red]"))
    assert "0.615±0.021" in text
    assert "[red]b[/red]: AUROC is 0.101 higher than a's (better)" in text
    assert "too few seeds to tell" in terminal(made(seeds=2))
    assert "…" not in text
