"""Files that went wrong once, from the file to the loaded hospitals."""

import csv
from collections import Counter
from pathlib import Path

import pytest
import torch

from federated.errors import DataError
from tests.tasks.files import Read, case, read

SITE = {"hospital": "site"}


def column(path: str, name: str) -> list[str]:
    """A column's stripped texts, read without the product."""
    with Path(path).open(newline="") as file:
        header, *rows = csv.reader(file)
    return [row[header.index(name)].strip() for row in rows]


def kept(found: Read) -> int:
    return sum(len(one.targets) for one in found.hospitals.values())


def classes(found: Read) -> Counter[str]:
    """Rows by class over all hospitals."""
    total: Counter[str] = Counter()
    for one in found.hospitals.values():
        total.update(one.coverage.classes)
        assert sum(one.coverage.classes.values()) == len(one.targets)
    return total


def test_survival_codes_give_the_same_records_or_name_the_key(tmp_path: Path) -> None:
    plain, other = case("survival-codes/coded_0_1.csv"), case("survival-codes/coded_1_2.csv")
    asked = {**SITE, "time": "time", "event": "status"}
    first = read(tmp_path / "a", plain, **asked)
    second = read(tmp_path / "b", other, **asked, event_value=2)
    for name in first.hospitals:
        assert torch.equal(first.hospitals[name].features, second.hospitals[name].features)
        assert torch.equal(first.hospitals[name].targets, second.hospitals[name].targets)
        assert torch.equal(first.hospitals[name].split, second.hospitals[name].split)
    died = column(other, "status").count("2")
    events = sum(int(one.targets[:, 1].sum()) for one in second.hospitals.values())
    assert events == died == 202
    with pytest.raises(DataError, match=r"'1' \(158 rows\), '2' \(202 rows\).*source\.event_value"):
        read(tmp_path / "c", other, **asked)


def test_padded_cells_make_two_classes_and_a_blank_is_missing(tmp_path: Path) -> None:
    path = case("padded-cells/padded.csv")
    found = read(tmp_path, path, **SITE, target="dead")
    truth = Counter(column(path, "dead"))
    assert found.schema.classes == ("No", "Yes")
    assert classes(found) == {"No": truth["No"], "Yes": truth["Yes"]}
    lost = sum(one.coverage.quarantined["dead: missing"] for one in found.hospitals.values())
    assert lost == truth[""] == 180 - kept(found)
    sex = next(c for c in found.schema.columns if c.name == "sex")
    assert (sex.kind, sex.labels) == ("binary", ("f", "m"))


def test_numeric_classes_are_two(tmp_path: Path) -> None:
    path = case("numeric-classes/float_target.csv")
    found = read(tmp_path, path, **SITE, target="dead")
    events = sum(float(cell) for cell in column(path, "dead"))
    assert found.schema.classes == ("0", "1")
    assert classes(found) == {"0": 180 - events, "1": events}
    assert sum(int(one.targets.sum()) for one in found.hospitals.values()) == events
    assert "event" not in found.said


def test_missing_marks_lose_no_patient(tmp_path: Path) -> None:
    path = case("missing-marks/export.csv")
    found = read(tmp_path, path, **SITE, target="early")
    without = column(path, "early").count("")
    assert kept(found) == 180 - without  # those whose outcome nobody knows, and no others
    known = [outcome != "" for outcome in column(path, "early")]
    for name in ("lab1", "lab2", "smoker"):
        gaps = [
            cell in (".", "")
            for cell, asked in zip(column(path, name), known, strict=True)
            if asked
        ]
        counted = sum(one.coverage.missing.get(name, 0) for one in found.hospitals.values())
        assert counted == sum(gaps) > 0
    marks = [sum(cell == "." for cell in column(path, name)) for name in ("lab1", "lab2")]
    assert f"'.' read as missing in lab1 ({marks[0]} cells), lab2 ({marks[1]} cells)" in found.said
    assert [c.kind for c in found.schema.columns] == ["numeric", "numeric", "numeric", "binary"]
    assert all(not one.coverage.bad_cells for one in found.hospitals.values())


@pytest.mark.parametrize("declared", [True, False])
def test_every_code_is_a_category_of_its_own(tmp_path: Path, declared: bool) -> None:
    path = case("codes/icd.csv")
    kinds = {"numeric": ["age", "hb"], "categorical": ["sex", "ward", "icd9"]} if declared else {}
    found = read(tmp_path, path, **SITE, target="dead", **kinds)
    codes = column(path, "icd9")
    icd9 = next(c for c in found.schema.columns if c.name == "icd9")
    assert (icd9.kind, icd9.labels) == ("categorical", tuple(sorted(set(codes))))
    assert {"042", "0042", "414", "V27"} <= set(icd9.labels)
    assert kept(found) == len(codes)
    read_back = [
        icd9.labels[int(value)]
        for hospital in found.hospitals
        for value in found.cells(hospital, "icd9")
        if value is not None
    ]
    assert read_back == codes  # the file goes hospital by hospital, in order of their names
    assert ("begin with 0, so they are codes" in found.said) != declared


def test_a_trailing_delimiter_is_refused_by_line(tmp_path: Path) -> None:
    path = case("trailing-delimiter/trailing2.csv")
    told = r"trailing2\.csv, line 2: 6 fields, and the header has 5; the row ends in a delimiter"
    with pytest.raises(DataError, match=told):
        read(tmp_path, path, target="died", partition="iid")


def test_a_column_without_a_name_is_no_feature(tmp_path: Path) -> None:
    found = read(tmp_path, case("index-column/unnamed.csv"), **SITE, target="dead")
    assert [c.name for c in found.schema.columns] == ["age", "sex", "hb", "ward"]
    assert "column 1 has no name in the header and is not used" in found.said


def test_values_beyond_a_limit_are_missing_cells_and_said(tmp_path: Path) -> None:
    path = case("detection-limit/lab_lt.csv")
    found = read(tmp_path, path, **SITE, target="dead")
    below = column(path, "crp").count("<5")
    assert f"values beyond a limit (<5) read as missing in crp ({below} cells)" in found.said
    assert kept(found) == 180
    counted = sum(one.coverage.missing["crp"] for one in found.hospitals.values())
    assert counted == below + column(path, "crp").count("")


@pytest.mark.parametrize(
    ("name", "source", "names", "said"),
    [
        ("words", {}, ("survived", "dead"), "the event is 'dead', in 112 of 1000 rows"),
        ("words", {"positive": "survived"}, ("dead", "survived"), ""),
        ("zero_one", {}, ("0", "1"), ""),
        ("zero_one", {"positive": 0}, ("1", "0"), ""),
    ],
)
def test_the_event_is_the_second_class(
    tmp_path: Path, name: str, source: dict[str, object], names: tuple[str, str], said: str
) -> None:
    path = case(f"positive-class/{name}.csv")
    found = read(tmp_path, path, **SITE, target="outcome", **source)
    assert found.schema.classes == names
    events = sum(int(one.targets.sum()) for one in found.hospitals.values())
    assert events == column(path, "outcome").count(names[1])
    assert said in found.said
    assert ("the event is" in found.said) == bool(said)
