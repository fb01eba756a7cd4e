import csv
import re
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from federated.errors import WardroundError
from federated.intervals import Interval
from federated.objectives import Objective
from federated.objectives.classification import READING
from federated.objectives.multilabel import Multilabel
from federated.objectives.regression import Regression
from federated.objectives.survival import Survival
from federated.results import ALL, RoundRow
from tasks.announce import description
from tasks.comparison import Row, best, comparison, few_events, worst_in_words
from tasks.report import REPORT, render, table
from tasks.report_files import (
    CURVES,
    RESULTS,
    ROUNDS,
    read_curves,
    read_results,
    read_rounds,
    write_curves,
    write_results,
    write_rounds,
)
from tasks.shown import MISSING, Figure, number
from tests.federated.make import of_classes
from tests.tasks.samples import HOSPITALS, ROUNDS_RUN, write_sample


class Page(HTMLParser):
    """The text of a page, its elements, and whether each is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in {"meta", "br"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def rendered(folder: Path) -> Page:
    return Page(render(folder).read_text(encoding="utf-8"))


def test_rendered_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    first = render(write_sample(tmp_path / "a", one_class=2)).read_bytes()
    again = render(tmp_path / "a").read_bytes()
    elsewhere = render(write_sample(tmp_path / "b", one_class=2)).read_bytes()
    assert first == again == elsewhere


def test_the_order_of_hospitals_leaves_no_trace(tmp_path: Path) -> None:
    write_sample(tmp_path)
    files = {name: (tmp_path / name).read_bytes() for name in (RESULTS, CURVES, ROUNDS)}
    results, curves = read_results(tmp_path), read_curves(tmp_path)
    backwards = dict(reversed(results.hospitals.items()))
    write_results(tmp_path, results.model_copy(update={"hospitals": backwards}))
    write_curves(
        tmp_path, curves.model_copy(update={"hospitals": dict(reversed(curves.hospitals.items()))})
    )
    write_rounds(tmp_path / ROUNDS, reversed(read_rounds(tmp_path / ROUNDS)))
    assert files == {name: (tmp_path / name).read_bytes() for name in files}


def test_every_hospital_and_figure_is_on_the_page(tmp_path: Path) -> None:
    page = rendered(write_sample(tmp_path, one_class=2))
    results, curves = read_results(tmp_path), read_curves(tmp_path)
    assert page.open == []
    assert results.baselines.alone is not None
    assert results.baselines.pooled is not None
    alone, pooled = results.baselines.alone, results.baselines.pooled
    every = [results.overall, alone.all, pooled.all]
    every += [*results.hospitals.values(), *alone.hospitals.values(), *pooled.hospitals.values()]
    for found in every:
        for measure in READING.measures:
            assert number(getattr(found, measure.name)) in page.text
    for measure in READING.measures:
        assert number(results.spread[measure.name]) in page.text
        assert number(alone.mean[measure.name]) in page.text
        assert measure.label in page.text
    for name in HOSPITALS:
        assert page.text.count(name) >= 6
        assert results.run.data[name] in page.text
        assert str(curves.coverage[name].rows) in page.text
    for words in (
        "3 × trestbps: below 1",
        "slope: missing in every row",
        "ca 91",
        results.run.config,
    ):
        assert words in page.text
    assert "sgd, batch_size 16, epochs 2, lr 0.05, steps none" in page.text
    assert "an update of 23 numbers (92 bytes)" in page.text


def test_validation_rows_are_named_where_there_are_any(tmp_path: Path) -> None:
    assert "alidation rows" not in rendered(write_sample(tmp_path)).text
    results = read_results(tmp_path)
    examples = {
        name: one.model_copy(update={"validation": 11 + i})
        for i, (name, one) in enumerate(sorted(results.run.examples.items()))
    }
    run = results.run.model_copy(update={"examples": examples})
    write_results(tmp_path, results.model_copy(update={"run": run}))
    page = rendered(tmp_path)
    assert page.open == []
    assert "with 50 validation rows besides" in page.text  # 11 + 12 + 13 + 14
    assert "Training rows Validation rows Test rows" in page.text
    for name, one in examples.items():
        digest = results.run.data[name]
        assert f"{name} {digest} {one.train} {one.validation} {one.test}" in page.text


def test_the_page_has_its_plots_and_needs_nothing_beside_it(tmp_path: Path) -> None:
    text = render(write_sample(tmp_path)).read_text(encoding="utf-8")
    page = Page(text)
    assert sum(attrs.get("role") == "img" for _, attrs in page.elements) == 5
    assert {tag for tag, _ in page.elements} & {"script", "link", "img", "iframe"} == set()
    assert "http://" not in text
    assert "https://" not in text
    for _, attrs in page.elements:
        for key in ("href", "xlink:href", "src"):
            assert (attrs.get(key) or "#").startswith("#")
    assert re.findall(r"url\((?!#)", text) == []
    assert re.findall(r"#0a0[bc]\d\d", text) == []  # every colour of a plot is the page's


def test_every_reference_inside_a_plot_is_met(tmp_path: Path) -> None:
    text = render(write_sample(tmp_path)).read_text(encoding="utf-8")
    wanted = {*re.findall(r"url\(#([^)]+)\)", text), *re.findall(r'xlink:href="#([^"]+)"', text)}
    assert wanted <= {*re.findall(r' id="([^"]+)"', text)}


def test_names_are_escaped(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>"
    text = render(write_sample(tmp_path, hospitals=(evil, 'a"b$x$', "_c"))).read_text(
        encoding="utf-8"
    )
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    page = Page(text)
    assert evil in page.text
    assert 'a"b$x$' in page.text
    assert page.open == []


def test_undefined_is_a_dash_with_the_reason(tmp_path: Path) -> None:
    page = rendered(write_sample(tmp_path, one_class=2))
    assert read_results(tmp_path).undefined["auroc"] == 1
    assert f"{MISSING} undefined: AUROC, AUPRC and balanced accuracy need two classes" in page.text
    assert re.search(rf"switzerland 140 60 {MISSING} {MISSING} {MISSING} 0", page.text)
    assert not re.search(r"\b(nan|None|null)\b", page.text)


@pytest.mark.parametrize("classes", [2, 4])
def test_without_baselines(tmp_path: Path, classes: int) -> None:
    sample = write_sample(tmp_path, objective=of_classes(classes), baselines=False, rounds=1)
    page = rendered(sample)
    assert page.text.count("not trained") == 2
    assert "Pooled: one model" not in page.text
    assert page.open == []


@pytest.mark.parametrize(
    ("objective", "plots"),
    [(Multilabel(("a", "b")), 4), (Regression("days"), 2), (Survival("months", "died"), 2)],
)
def test_other_questions_have_a_page_and_a_table_of_their_own(
    tmp_path: Path, objective: Objective, plots: int
) -> None:
    reading = objective.reading
    page = rendered(write_sample(tmp_path, objective=objective, one_class=2))
    assert page.open == []
    assert sum(attrs.get("role") == "img" for _, attrs in page.elements) == plots
    results = read_results(tmp_path)
    for found in (results.overall, *results.hospitals.values()):
        for measure in reading.measures:
            assert number(found[measure.name]) in page.text
    assert results.undefined[reading.headline.name] == 1
    assert f"{MISSING} undefined: {reading.undefined}" in page.text
    assert f"{reading.headline.label} of the federated model" in page.text
    assert f"to evaluate: {reading.counted}" in page.text
    assert not re.search(r"\b(nan|None|null)\b", page.text)
    assert ("AUROC" in page.text) == (plots == 4)
    console = Console(width=80, file=StringIO(), force_terminal=False)
    console.print(table(results))
    assert isinstance(console.file, StringIO)
    assert number(results.overall[reading.headline.name]) in console.file.getvalue()
    assert reading.undefined_short.split()[0] in console.file.getvalue()
    assert "…" not in console.file.getvalue()
    assert reading.headline.label in description(results)
    assert reading.second.in_a_sentence in description(results)


def test_an_unknown_kind_of_question_is_refused(tmp_path: Path) -> None:
    path = write_sample(tmp_path, objective=Regression("days")) / RESULTS
    path.write_text(path.read_text().replace('"regression"', '"astrology"'))
    with pytest.raises(
        WardroundError, match=r"metrics\.json: .*no objective is called 'astrology'"
    ):
        render(tmp_path)


def test_classification_leaves_its_kind_out_of_the_file(tmp_path: Path) -> None:
    assert '"objective"' not in (write_sample(tmp_path) / RESULTS).read_text()
    assert read_results(tmp_path).run.objective == "classification"


def test_many_hospitals_share_a_line(tmp_path: Path) -> None:
    names = [f"hospital-{i:02}" for i in range(14)]
    page = rendered(write_sample(tmp_path, hospitals=names))
    assert "Round by round each hospital all hospitals AUROC of the" in page.text
    for name in names:
        assert name in page.text


def test_comparison_by_hand(tmp_path: Path) -> None:
    results = read_results(write_sample(tmp_path, one_class=2))
    rows = comparison(results)
    assert [r.name for r in rows] == [*sorted(HOSPITALS), "hospital mean", "all hospitals"]
    assert rows[0].models["federated"]["auroc"].value == results.hospitals["cleveland"]["auroc"]
    assert (rows[-1].train, rows[-1].test) == (620, 280)
    three = [rows[i].models["federated"]["auroc"].value for i in (0, 1, 3)]
    mean = rows[-2].models["federated"]["auroc"]
    assert mean.value == pytest.approx(sum(v or 0 for v in three) / 3)
    assert mean.interval is None
    assert best(rows[2], READING.headline) is None
    assert best(rows[-2], READING.headline) is None


def test_the_best_model_is_bold_beyond_noise_alone() -> None:
    def row(**figures: Figure) -> Row:
        return Row("north", False, 9, 9, {name: {"auroc": f} for name, f in figures.items()})

    good, near = Figure(0.9, Interval(0.85, 0.94)), Figure(0.8, Interval(0.74, 0.86))
    poor = Figure(0.7, Interval(0.62, 0.78))
    assert best(row(a=good, b=poor), READING.headline) == "a"
    assert best(row(a=good, b=near), READING.headline) is None  # 0.85 to 0.86 are of both
    assert best(row(a=good, b=poor, c=near), READING.headline) is None
    assert best(row(a=good, b=Figure(0.1)), READING.headline) is None
    assert best(row(a=good, b=Figure(None)), READING.headline) is None


def test_the_worst_hospital_says_how_many_rows_and_whether_it_is_noise(tmp_path: Path) -> None:
    results = read_results(write_sample(tmp_path))
    worst = results.worst_hospital["auroc"]
    assert worst is not None
    here = results.hospitals[worst.hospital]

    def words(low: float, high: float, overall: float) -> str | None:
        one = here.model_copy(update={"intervals": {"auroc": Interval(low, high)}})
        every = results.overall.model_copy()
        every.__pydantic_extra__["auroc"] = overall
        changed = results.hospitals | {worst.hospital: one}
        given = results.model_copy(update={"hospitals": changed, "overall": every})
        return worst_in_words(given, READING.headline)

    start = f"{worst.hospital}, {here.rows} test rows, 0.40–0.60"
    assert words(0.4, 0.6, 0.7) == start
    assert words(0.4, 0.6, 0.5) == f"{start}, within noise of all"


def test_tiles_stand_on_one_basis_and_name_the_event(tmp_path: Path) -> None:
    page = rendered(write_sample(tmp_path))
    results = read_results(tmp_path)
    assert results.baselines.alone is not None
    assert results.baselines.pooled is not None
    for name, found in (
        ("Federated", results.overall),
        ("Hospitals alone", results.baselines.alone.all),
        ("Pooled", results.baselines.pooled.all),
    ):
        assert f"{name}, all rows {number(found['auroc'])} AUROC · 95 % 0." in page.text
    run = results.run.model_copy(update={"event": "died", "threshold": 0.5})
    write_results(tmp_path, results.model_copy(update={"run": run}))
    text = rendered(tmp_path).text
    for words in ("AUPRC (died)", "F1 (died)", "Calibration of died", "The event is died."):
        assert words in text
    assert "AUROC (died)" not in text


def test_hospitals_with_few_events_are_named(tmp_path: Path) -> None:
    results = read_results(write_sample(tmp_path))
    assert few_events(results) is None  # nobody says which class is the event
    run = results.run.model_copy(update={"event": "died"})
    rare = results.hospitals["va"].model_copy(update={"prevalence": 2 / 40})
    hospitals = results.hospitals | {"va": rare}
    given = results.model_copy(update={"run": run, "hospitals": hospitals})
    assert few_events(given) == "Few test rows with or without the event: va 2 of 40"


def test_what_bins_may_have_moved_is_said(tmp_path: Path) -> None:
    results = read_results(write_sample(tmp_path))
    assert "≈" not in rendered(tmp_path).text
    doubtful = results.overall.model_copy(update={"bounds": {"auroc": 0.012}})
    write_results(tmp_path, results.model_copy(update={"overall": doubtful}))
    text = rendered(tmp_path).text
    assert f"≈{number(results.overall['auroc'])}" in text
    assert "moved it by up to 0.012" in text


def test_terminal_table(tmp_path: Path) -> None:
    results = read_results(write_sample(tmp_path, hospitals=("[red]x[/red]", "b"), one_class=1))
    console = Console(width=80, file=StringIO(), force_terminal=False)
    console.print(table(results))
    assert isinstance(console.file, StringIO)
    text = console.file.getvalue()
    assert "[red]x[/red]" in text
    assert number(results.overall.auroc) in text
    assert MISSING in text
    assert "…" not in text


def test_files_read_back_as_written(tmp_path: Path) -> None:
    write_sample(tmp_path, one_class=2)
    rows = read_rounds(tmp_path / ROUNDS)
    assert len(rows) == (ROUNDS_RUN + 1) * (len(HOSPITALS) + 1)
    last = next(r for r in rows if r.round == ROUNDS_RUN and r.hospital == ALL)
    assert last.auroc == read_results(tmp_path).overall.auroc
    assert next(r for r in rows if r.hospital == "switzerland").auroc is None
    with (tmp_path / ROUNDS).open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert list(lines[0])[:5] == ["round", "hospital", "train_loss", "bytes_sent", "loss"]
    assert lines[0]["train_loss"] == ""
    assert b"\r" not in (tmp_path / ROUNDS).read_bytes()
    assert '"global": {' in (tmp_path / RESULTS).read_text()


def test_two_lines_for_one_name_are_refused(tmp_path: Path) -> None:
    row = read_rounds(write_sample(tmp_path) / ROUNDS)[0]
    with pytest.raises(WardroundError, match="two lines for 'cleveland' in round 0"):
        write_rounds(tmp_path / ROUNDS, [row, RoundRow(**row.model_dump())])


@pytest.mark.parametrize("name", [RESULTS, CURVES, ROUNDS])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    (write_sample(tmp_path) / name).unlink()
    with pytest.raises(
        WardroundError, match=rf"{re.escape(name)}: no such file; run `wardround train`"
    ):
        render(tmp_path)
    assert not (tmp_path / REPORT).exists()


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        (RESULTS, "{", "Invalid JSON"),
        (RESULTS, "{}", "global: Field required"),
        (CURVES, '{"global": 1}', "global"),
        (CURVES, b"\xff\xfe", "codec"),
        (ROUNDS, "round,auroc\n1,0.5\n", "the columns are not round, hospital"),
    ],
)
def test_a_malformed_file_is_named(tmp_path: Path, name: str, text: str | bytes, why: str) -> None:
    (write_sample(tmp_path) / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(WardroundError, match=rf"{re.escape(name)}: .*{why}.*wardround train"):
        render(tmp_path)


@pytest.mark.parametrize("cell", ["nan", "high"])
def test_a_cell_that_is_no_number_is_refused(tmp_path: Path, cell: str) -> None:
    path = write_sample(tmp_path) / ROUNDS
    lines = path.read_text().splitlines()
    lines[1] = ",".join([*lines[1].split(",")[:-1], cell])
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(WardroundError, match=r"rounds\.csv: not readable \(ece"):
        read_rounds(path)


def test_files_of_two_runs_are_refused(tmp_path: Path) -> None:
    write_sample(tmp_path / "a")
    write_sample(tmp_path / "b", hospitals=("x", "y"))
    (tmp_path / "a" / CURVES).write_bytes((tmp_path / "b" / CURVES).read_bytes())
    with pytest.raises(WardroundError, match="no curves of cleveland, hungary"):
        render(tmp_path / "a")
