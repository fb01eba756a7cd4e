"""`run.keep_weights`: what is kept, what goes, and what a deleted round says of itself."""

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from federated.config import RunConfig, parse
from federated.errors import ConfigError, WardroundError
from federated.federation import Standing
from tasks.journal import Journal
from tasks.packed_counts import pack
from tasks.retention import Retention, copied_at_once, copied_at_the_end
from tests.conftest import ROOT, merged
from tests.federated.make import count

# loss on validation rows, lower is better: round 3 is the best
LOGITS = {0: 0.0, 1: 0.5, 2: 1.0, 3: 3.0, 4: 2.0, 5: 1.0, 6: 0.2}


def run(**changes: Any) -> RunConfig:
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    changed = {"data": {"validation_fraction": 0.1}, "run": changes}
    return parse(merged(values, changed)).run


def commit(journal: Journal, number: int) -> None:
    value = LOGITS[number]
    counts = {"a": count(torch.tensor([[value], [-value]]), torch.tensor([1, 0]), 2, 10, 5)}
    weights, own = {"w": torch.tensor([float(number)])}, {"a": {"s": torch.tensor([number + 0.5])}}
    journal.commit(Standing(number, weights, {}, own), [], pack(counts), pack(counts))


def left(journal: Journal) -> tuple[list[int], list[int]]:
    """Rounds whose weights are there, and rounds whose states are."""
    rounds = journal.rounds()
    there = {path.stem for path in (journal.folder / "weights").iterdir()}
    return (
        [r.round for r in rounds if r.weights in there],
        [r.round for r in rounds if set(r.states.values()) <= there],
    )


@pytest.mark.parametrize(
    ("changes", "weights", "states"),
    [
        ({"keep_weights": "last"}, [0, 6], [6]),
        ({"keep_weights": "best"}, [0, 3, 6], [3, 6]),
        ({"keep_weights": "last", "keep": "best"}, [0, 3, 6], [3, 6]),
        ({"keep_weights": {"every": 2}}, [0, 2, 4, 6], [6]),
        ({"keep_weights": {"last": 3}}, [0, 4, 5, 6], [6]),
    ],
    ids=str,
)
def test_what_is_kept(
    tmp_path: Path, changes: dict[str, Any], weights: list[int], states: list[int]
) -> None:
    """Also if the run was cut off in between, and a killed round left a file of its own."""
    journal = Journal(tmp_path)
    journal.retain(Retention(run(**changes)))
    for number in range(4):
        commit(journal, number)
    journal.close()
    again = Journal(tmp_path)
    (tmp_path / "weights" / f"{'0' * 64}.safetensors").write_bytes(b"cut off")
    again.retain(Retention(run(**changes)))
    for number in range(4, 7):
        commit(again, number)
    assert left(again) == (weights, states)
    assert not (tmp_path / "weights" / f"{'0' * 64}.safetensors").exists()
    last = again.standing(again.rounds()[-1])
    assert (last.weights["w"].item(), last.states["a"]["s"].item()) == (6, 6.5)
    again.close()


def test_a_deleted_round_says_why(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.retain(Retention(run(keep_weights="last")))
    for number in range(3):
        commit(journal, number)
    with pytest.raises(WardroundError, match=r"round 1: .*deleted as run\.keep_weights asked for"):
        journal.load(journal.rounds()[1].weights)
    journal.close()


def test_what_mlflow_gets_and_when(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    for number in range(7):
        commit(journal, number)
    rounds = journal.rounds()
    journal.close()

    def copies(keep: Any) -> tuple[list[int], list[int]]:
        own = run(keep_weights=keep)
        at_once = [n for n in range(7) if copied_at_once(own, n)]
        return at_once, [r.round for r in copied_at_the_end(own, rounds)]

    assert copies("all") == ([0, 1, 2, 3, 4, 5, 6], [6])
    assert copies({"every": 4}) == ([0, 4], [6])
    assert copies("last") == ([], [6])
    assert copies("best") == ([], [3])
    assert copies({"last": 2}) == ([], [5, 6])


@pytest.mark.parametrize("wrong", ["first", 3, {"every": 0}, {"evry": 2}, {"every": 2, "last": 2}])
def test_another_form_is_refused(wrong: Any) -> None:
    with pytest.raises(ConfigError, match=r"run\.keep_weights: .*all, last, best, \{every: k\}"):
        run(keep_weights=wrong)


def test_the_best_cannot_be_kept_without_validation_rows() -> None:
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    with pytest.raises(ConfigError, match=r"run\.keep_weights best .*validation_fraction"):
        parse(merged(values, {"run": {"keep_weights": "best"}}))
