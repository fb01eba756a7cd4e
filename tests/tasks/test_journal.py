"""The run journal alone: what it keeps, what it refuses, and who may have it open."""

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from federated.counts import to_dict
from federated.errors import CorruptDataError, DataError, WardroundError
from federated.federation import Standing
from federated.types import Update, Weights
from tasks.journal import Journal, open_journal
from tasks.packed_counts import pack
from tasks.round_record import RoundRecord
from tests.conftest import ROOT
from tests.federated.make import count

RUN = "0123456789abcdef" * 4
OTHER = "fedcba9876543210" * 4


def weights(value: float) -> Weights:
    return {"w": torch.tensor([value, 0.1])}


def commit(journal: Journal, number: int) -> RoundRecord:
    logits, targets = torch.tensor([[0.3], [-1.0]]), torch.tensor([1, 0])
    counts = {"north": count(logits, targets, 2, 10, 5)}
    update = Update("north", number, {}, examples=9, steps=7, loss=0.1 + number, sent=40)
    states = {"north": {"local/w": torch.tensor([3.0])}, "south": {}}
    standing = Standing(number, weights(number), {}, states)
    return journal.commit(standing, [update] if number else [], pack(counts), pack({}))


def plain(records: list[RoundRecord]) -> list[dict[str, Any]]:
    """Records that can be compared."""
    return [
        vars(record) | {"read": {h: to_dict(c) for h, c in record.counts.items()}}
        for record in records
    ]


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with open_journal(tmp_path, RUN) as opened:
        yield opened


def test_a_round_reads_back_as_it_was_committed(tmp_path: Path) -> None:
    with open_journal(tmp_path, RUN) as first:
        written = [commit(first, number) for number in range(3)]
    with open_journal(tmp_path, RUN) as again:
        assert plain(again.rounds()) == plain(written)
        assert again.rounds()[2].cohort == ("north",)
        assert torch.equal(again.load(written[2].weights)["w"], weights(2)["w"])
        assert again.load(written[2].state) == {}
        assert again.rounds()[2].sent == {"north": 40}
        standing = again.standing(again.rounds()[2])
        assert (standing.round, list(standing.states)) == (2, ["north"])
        assert standing.states["north"]["local/w"].item() == 3.0


def test_rounds_come_in_order_and_none_is_written_twice(journal: Journal) -> None:
    for number in (0, 10, 9):
        commit(journal, number)
    before = journal.rounds()
    assert [record.round for record in before] == [0, 9, 10]
    with pytest.raises(sqlite3.IntegrityError):
        commit(journal, 9)
    assert plain(journal.rounds()) == plain(before)


def test_facts_are_kept_by_name_and_the_last_one_counts(tmp_path: Path) -> None:
    with open_journal(tmp_path, RUN) as first:
        assert first.fact("mirrored") is None
        first.note("mirrored", 0)
        first.note("mirrored", 1)
        first.note("pooled", {"steps": 3, "counts": [0.1, None]})
    with open_journal(tmp_path, RUN) as again:
        assert again.fact("mirrored") == 1
        assert again.fact("pooled") == {"steps": 3, "counts": [0.1, None]}


def test_an_unfinished_run_goes_on_and_a_finished_one_begins_anew(tmp_path: Path) -> None:
    names = []
    for finished in (False, False, True, False):
        with open_journal(tmp_path, RUN) as journal:
            names.append(journal.name)
            if finished:
                journal.note("finished", True)
    assert names[0] == names[1] == names[2] != names[3]
    assert sorted(p.name for p in tmp_path.iterdir() if p.is_dir()) == [
        "0123456789ab-0001",
        "0123456789ab-0002",
    ]


def test_a_finished_journal_is_not_opened_again_when_an_older_one_was_removed(
    tmp_path: Path,
) -> None:
    for number in (1, 2):
        with open_journal(tmp_path, RUN) as journal:
            assert journal.folder.name.endswith(f"-000{number}")
            journal.note("finished", True)
    (tmp_path / "0123456789ab-0001").rename(tmp_path / "removed")
    with open_journal(tmp_path, RUN) as journal:
        assert journal.fact("finished") is None


def test_a_journal_in_a_removed_ones_place_has_another_name(tmp_path: Path) -> None:
    with open_journal(tmp_path, RUN) as first:
        removed = first.name
    first.folder.rename(tmp_path / "removed")
    with open_journal(tmp_path, RUN) as second:
        assert second.folder == first.folder
        assert second.name != removed


def test_runs_that_differ_have_journals_of_their_own_at_the_same_time(tmp_path: Path) -> None:
    with open_journal(tmp_path, RUN) as one, open_journal(tmp_path, OTHER) as other:
        commit(one, 0)
        assert other.rounds() == []


def test_two_processes_cannot_have_one_run_and_a_kill_frees_it(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from tasks.journal import open_journal\n"
        "with open_journal(Path(sys.argv[1]), sys.argv[2]):\n"
        "    print('open', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", program, str(tmp_path), RUN]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        with (
            pytest.raises(WardroundError, match="already going on in another process"),
            open_journal(tmp_path, RUN),
        ):
            pass
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    with open_journal(tmp_path, RUN) as journal:
        assert journal.rounds() == []


@pytest.mark.parametrize("size", [0, 20, -1])
def test_a_truncated_weights_file_is_refused_by_round(journal: Journal, size: int) -> None:
    commit(journal, 0)
    path = journal.weights_path(commit(journal, 1).weights)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(CorruptDataError, match=r"round 1: .*not those that were written"):
        journal.load(path.stem)


def test_a_flipped_bit_in_a_weights_file_is_refused_by_round(journal: Journal) -> None:
    path = journal.weights_path(commit(journal, 0).weights)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(CorruptDataError, match=r"round 0: .*not those that were written"):
        journal.load(path.stem)


def test_a_removed_weights_file_is_named_with_its_round(journal: Journal) -> None:
    path = journal.weights_path(commit(journal, 0).weights)
    path.unlink()
    with pytest.raises(CorruptDataError, match=r"round 0: .*no such file.*to begin this run again"):
        journal.load(path.stem)


def test_a_damaged_database_is_named(tmp_path: Path) -> None:
    with open_journal(tmp_path, RUN) as journal:
        commit(journal, 0)
    (journal.folder / "journal.db").write_bytes(b"no database at all " * 500)
    with (
        pytest.raises(CorruptDataError, match=r"0001/journal\.db: cannot be read"),
        open_journal(tmp_path, RUN),
    ):
        pass


def test_a_full_disk_is_named_and_finished_rounds_are_kept(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    first = commit(journal, 1)
    pages = journal._db.execute("PRAGMA page_count").fetchone()[0]
    journal._db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(DataError, match=r"journal.db: cannot be written .*disk is full; free some"):
        journal.note("long", "x" * 100_000)
    journal.close()
    again = Journal(tmp_path)
    assert plain(again.rounds()) == plain([first])
    again.close()


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "journals").write_text("a file where the folder should be")
    with (
        pytest.raises(DataError, match="journals: the run journal cannot be written"),
        open_journal(tmp_path / "journals", RUN),
    ):
        pass
