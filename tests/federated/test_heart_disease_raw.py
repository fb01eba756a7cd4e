"""data/raw/heart_disease.csv against UCI's four published files, cell by cell."""

import csv
from pathlib import Path

import pytest

from federated.datasets.heart_disease import SCHEMA, HeartDisease

PROJECT = Path(__file__).resolve().parents[2]
PUBLISHED = PROJECT / "../shared/data/heart"
FILES = {"cleveland": 303, "hungary": 294, "switzerland": 123, "va": 200}


def published_rows() -> list[list[str]]:
    """UCI's rows, hospital first, in the order of FILES."""
    rows = []
    for hospital in FILES:
        name = {"hungary": "hungarian"}.get(hospital, hospital)
        path = PUBLISHED / f"processed.{name}.data"
        if not path.is_file():
            pytest.skip(f"{path} is absent")
        rows += [[hospital, *line.split(",")] for line in path.read_text().split()]
    return rows


def test_every_cell_equals_the_published_one() -> None:
    with (PROJECT / "data/raw/heart_disease.csv").open(newline="") as file:
        header, *stored = list(csv.reader(file))
    expected = published_rows()
    assert len(stored) == len(expected) == 920
    differing = []
    for row, (ours, theirs) in enumerate(zip(stored, expected, strict=True), start=1):
        for column, mine, other in zip(header, ours, theirs, strict=True):
            if column == "hospital" or "?" in other or mine == "":
                same = mine == other.replace("?", "")
            else:
                same = float(mine) == float(other)
            if not same:
                differing.append((row, column))
    assert differing == []


def test_the_reader_gives_920_rows_of_four_hospitals() -> None:
    record = HeartDisease().read(PROJECT)
    assert record.hospitals is not None
    assert record.hospitals.value_counts(sort=False).to_dict() == FILES
    assert list(record.frame.columns) == [*(c.name for c in SCHEMA.columns), "num"]
    counts = record.frame["num"].value_counts().to_dict()
    assert counts == {"no disease": 411, "disease": 509}
