"""What became of raw rows is said in sentences: each note once, and a line for a hospital that lost
something."""

from pathlib import Path

from federated.schema import Coverage
from tasks.coverage import notes, set_aside
from tasks.preparation import load_hospital, partition, prepare
from tests.tasks.test_preparation import change, changed, mine

WHOLE = Coverage(hospital="north", rows=50, kept=50, notes=("read with ';'", "id is left out"))
LOST = Coverage(
    hospital="south",
    rows=60,
    kept=55,
    quarantined={"age: not a number": 2, "ill: missing": 3},
    quarantined_classes={"no": 0, "yes": 2},
    dropped_columns={"dose": "7 of 9 cells break the schema"},
    notes=("id is left out", "12 cells of crp"),
)


def test_each_note_is_there_once_in_order() -> None:
    assert notes([WHOLE, LOST]) == ["read with ';'", "id is left out", "12 cells of crp"]


def test_a_line_for_each_hospital_that_lost_something() -> None:
    assert set_aside([WHOLE]) == []
    assert set_aside([WHOLE, LOST]) == [
        "south: set aside 5 of 60 rows (2× age: not a number; 3× ill: missing; outcomes among "
        "them: no 0, yes 2); columns not used dose: 7 of 9 cells break the schema"
    ]


def test_what_was_set_aside_before_hospitals_were_made_up_is_kept(tmp_path: Path) -> None:
    data = changed(mine(tmp_path), partition={"name": "iid", "hospitals": 2})
    change(tmp_path, 1, "ill", "")
    prepare(data, tmp_path, tmp_path / "p")
    for name in partition(data, tmp_path / "p", tmp_path / "h"):
        said = load_hospital(tmp_path / "h" / name).coverage.notes
        assert sum("1× ill: missing" in note for note in said) == 1
