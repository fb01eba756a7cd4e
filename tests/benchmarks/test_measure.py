"""Seconds and memory are what they are said to be, and everyone trains on the same rows."""

import sys
from pathlib import Path

import pytest
import torch

from benchmarks import measure, plain
from benchmarks.cases import CASES, overrides
from benchmarks.figures import cases_table, peers_plot, scale_plot, scale_table
from federated.config import load
from federated.initial import build
from federated.split import split

ROOT = Path(__file__).resolve().parents[2]


def test_a_steady_round_is_of_the_later_half() -> None:
    slow_then_even = [0.0, 9.0, 18.0, 18.2, 18.4, 18.6, 20.6]
    assert measure.steady(slow_then_even) == pytest.approx(0.2)  # the median of 0.2, 0.2, 2.0
    by_milliseconds = [0.0, 0.0, 0.001, 0.001, 0.004]
    assert measure.steady(by_milliseconds) == pytest.approx(0.0015)  # the mean: 0.003 in 2 rounds


def test_memory_is_of_the_whole_tree(tmp_path: Path) -> None:
    hold = "x = b'1' * 150_000_000; import time; time.sleep(1.5)"
    both = f"import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', {hold!r}]); {hold}"
    found = measure.run([sys.executable, "-c", f"{both}; p.wait(); print('done')"], tmp_path)
    assert found.output == "done\n"
    assert 300 < found.peak_mb < 400
    assert found.seconds > 1.5


def test_a_subject_that_fails_or_hangs_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(measure.SubjectError, match="exit code 3"):
        measure.run([sys.executable, "-c", "raise SystemExit(3)"], tmp_path)
    with pytest.raises(measure.SubjectError, match="over 1 s"):
        measure.run([sys.executable, "-c", "import time; time.sleep(60)"], tmp_path, timeout=1.0)
    with pytest.raises(measure.SubjectError, match="no answer"):
        measure.answer("nothing said")


@pytest.mark.parametrize("name", CASES)
def test_cases_leave_so_many_training_rows(name: str) -> None:
    case = CASES[name]
    config = load(ROOT / "params.yaml", overrides(case))
    rows = config.data.source["rows"]
    classes = torch.arange(rows).remainder(2 if case.features else 10).numpy()
    codes = split("hospital-1", classes, config.data.test_fraction, 0.0, config.data.seed)
    assert int((codes == 0).sum()) == case.rows
    rule = config.algorithm.rules.local
    assert rule.step_count(case.rows) == (case.steps or -(-case.rows // case.batch))


@pytest.mark.parametrize("images", [True, False])
def test_the_plain_network_is_the_products(images: bool) -> None:
    config = load(ROOT / "params.yaml", overrides(CASES["a" if images else "d"]))
    inputs, outputs = ((1, 28, 28), 10) if images else ((13,), 1)
    ours = build(config.architecture, inputs, outputs, 1)
    theirs = plain.Network(images)
    theirs.load_state_dict(ours.state_dict())
    rows = torch.randn(3, *inputs)
    assert torch.equal(ours(rows), theirs(rows))


def test_local_training_takes_an_epoch_or_so_many_steps() -> None:
    settings = {"file": "", "hospitals": 1, "cohort": 1, "rows": 10, "batch": 4, "rounds": 1}
    given = plain.Task(**settings, rate=0.5, steps=None, images=False, seed=1)  # type: ignore[arg-type]
    inputs, targets = torch.randn(10, 13), torch.ones(10, dtype=torch.int64)
    model = plain.Network(False)
    before = plain.loss(model(inputs), targets).item()
    assert plain.train(model, inputs, targets, given) == 3
    assert plain.loss(model(inputs), targets).item() < before
    more = plain.Task(**settings, rate=0.5, steps=7, images=False, seed=1)  # type: ignore[arg-type]
    assert plain.train(model, inputs, targets, more) == 7


def row(subject: str, repeat: int, seconds: float) -> dict[str, object]:
    return {
        "case": "b",
        "subject": subject,
        "repeat": repeat,
        "round_s": seconds,
        "whole_s": 10.0,
        "peak_mb": 300.0,
        "accuracy": 0.9,
        "versions": {"torch": "2.13.0"},
    }


def test_ratios_are_taken_within_a_repeat(tmp_path: Path) -> None:
    rows = [row("plain loop", 0, 1.0), row("wardround", 0, 0.5)]
    rows += [row("plain loop", 1, 3.0), row("wardround", 1, 1.0)]
    rows.append({"case": "b", "subject": "blazefl", "repeat": 0, "error": "no release"})
    text = cases_table(rows)
    assert "| b | wardround | 0.7500 (0.5000 … 1.0000) | 2.50 (2.00 … 3.00) |" in text
    assert "| b | blazefl | – | – | – | – | – | no release |" in text
    peers_plot(rows, tmp_path / "peers.svg")
    assert "wardround" in (tmp_path / "peers.svg").read_text()


def test_scale_is_drawn_beside_its_line(tmp_path: Path) -> None:
    size = {"cohort": 10, "data_mb": 1.0, "sent_bytes": 2_000_000}
    rows = [
        row("wardround", 0, s) | size | {"case": case, "hospitals": h, "parameters": p}
        for case, s, h, p in [
            ("hospitals-10", 0.1, 10, 21),
            ("hospitals-1000", 0.2, 1000, 21),
            ("width-10", 0.1, 10, 10_021),
        ]
    ]
    assert "| 1,000 | 10 | 21 | 0.200 | 300 | 1.0 | 2.00 |" in scale_table(rows)
    scale_plot(rows, tmp_path / "scale.svg")
    assert (tmp_path / "scale.svg").read_text().startswith("<?xml")
