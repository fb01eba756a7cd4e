"""Files as hospitals write them: read right and said, or refused with line or column, and key."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from federated.datasets.table import Table
from federated.errors import ConfigError, DataError
from federated.plugins import create
from tests.tasks.files import read

N = 30
PLAIN = {"hospital": "site", "target": "died"}


def table(**columns: Sequence[object]) -> pd.DataFrame:
    """30 rows of two hospitals; further columns take the place of those of their names."""
    rows = np.arange(N)
    own: dict[str, Any] = {
        "site": np.where(rows < 15, "north", "south"),
        "age": 20 + rows % 7,
        "dose": 0.25 * (rows % 5) + 1.5,
        "died": np.where(rows % 3 == 0, "yes", "no"),
    }
    return pd.DataFrame({**own, **columns})


def saved(folder: Path, frame: pd.DataFrame, **how: Any) -> str:
    frame.to_csv(folder / "mine.csv", index=False, **how)
    return "mine.csv"


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({}, ""),
        ({"sep": ";"}, "mine.csv: cells are separated by ';'"),
        ({"sep": "\t"}, r"mine.csv: cells are separated by '\t'"),
        ({"sep": ";", "decimal": ","}, "mine.csv: decimal commas in dose"),
        ({"sep": "|", "encoding": "utf-16"}, "mine.csv: read as utf-16"),
        ({"encoding": "utf-8-sig"}, ""),
        ({"encoding": "utf-16-le"}, "mine.csv: read as utf-16-le"),
        ({"encoding": "cp1252"}, "mine.csv: read as cp1252; data.source.csv.encoding names"),
        ({"lineterminator": "\r\n"}, ""),
    ],
)
def test_how_a_csv_is_written_is_found_out_and_said(
    tmp_path: Path, how: dict[str, str], said: str
) -> None:
    cities = np.where(np.arange(N) < 15, "Zürich", "Genève")
    frame = table(site=cities)
    found = read(tmp_path, saved(tmp_path, frame, **how), **PLAIN)
    assert sorted(found.hospitals) == ["Genève", "Zürich"]
    assert found.cells("Zürich", "dose") == frame["dose"][:15].tolist()
    assert said in found.said
    assert ("mine.csv:" in found.said) == bool(said)


def test_what_is_given_is_not_found_out(tmp_path: Path) -> None:
    path = saved(tmp_path, table(dose=[f"1,{k:03d}" for k in range(N)]), sep=";")
    with pytest.raises(DataError, match=r"'dose': its commas may separate thousands or decimals"):
        read(tmp_path, path, **PLAIN)
    csv = {"delimiter": ";", "decimal": ","}
    found = read(tmp_path, path, **PLAIN, csv=csv)
    assert found.cells("south", "dose")[-1] == 1.029
    assert "mine.csv:" not in found.said
    with pytest.raises(ConfigError, match=r"data\.source\.csv\.seperator"):
        create(
            "federated.datasets",
            "table",
            {**PLAIN, "path": path, "csv": {"seperator": ";"}},
            "data.source",
        )
    with pytest.raises(
        DataError, match=r"data\.source\.csv\.encoding: there is no encoding 'utf9'"
    ):
        read(tmp_path, path, **PLAIN, csv={"encoding": "utf9"})
    with pytest.raises(
        DataError, match=r"mine\.csv: is not ascii; name its encoding in data\.source\.csv"
    ):
        read(tmp_path, saved(tmp_path, table(site="Köln")), **PLAIN, csv={"encoding": "ascii"})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a,b,c\n1,2,3\n1,2\n", r"mine\.csv, line 3: 2 fields, and the header has 3; is it cut"),
        ("a,b\n1,2\n\n1,2,3\n", r"line 4: 3 fields, and the header has 2"),
        ('a,b\n"x\ny",2\n1,2,\n', r"line 4: 3 fields, and the header has 2; the row ends in a"),
        ("a,b\n1,5,2\n", r"line 2: 3 fields, and the header has 2; a cell that holds the delim"),
        ('a,b\n1,"2\n3,4\n', r"not a CSV after 1 rows: .*quotation mark too many"),
        ("a,a\n1,2\n", r"column 'a' stands 2 times in the header"),
        ("a, a \n1,2\n", r"column 'a' stands 2 times in the header"),
        ("a,b\n", "holds no rows"),
        ("", "holds no rows"),
        ("a;b,c\n1;2,3\n", r"',' and ';' may both separate.*data\.source\.csv\.delimiter"),
    ],
)
def test_a_file_that_is_no_table_is_refused_by_line(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "mine.csv").write_text(text)
    with pytest.raises(DataError, match=told):
        Table(path="mine.csv", target="b").read(tmp_path)


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        (["1,234.5"] * N, "column 'dose' has thousands separators"),
        (["1.234,5"] * N, "column 'dose' has thousands separators"),
        (["1 234"] * N, "column 'dose' has thousands separators"),
        (["1,5", "2.5"] * (N // 2), "decimal commas in column 'dose' and decimal points in 'dose'"),
        (["1,234"] * N, r"'dose': its commas may separate thousands or decimals; say data\.source"),
    ],
)
def test_numbers_that_may_be_two_are_refused(tmp_path: Path, cells: list[str], told: str) -> None:
    with pytest.raises(DataError, match=told):
        read(tmp_path, saved(tmp_path, table(dose=cells)), **PLAIN)


def test_marks_are_missing_counted_and_said(tmp_path: Path) -> None:
    dose: list[object] = [round(0.5 * k, 2) for k in range(N)]
    dose[:9] = [".", "-9", "-9.0", "unknown", "N/A", "<0.5", "> 90", " ", "n.d."]
    path = saved(tmp_path, table(dose=dose))
    found = read(tmp_path, path, **PLAIN, missing=[-9])
    assert found.cells("north", "dose")[:10] == [None] * 9 + [4.5]
    assert found.hospitals["north"].coverage.missing == {"dose": 9}
    for said in ("'-9' read as missing in dose (2 cells)", "'unknown' read as missing in dose (1"):
        assert said in found.said
    assert "values beyond a limit (<0.5, > 90) read as missing in dose (2 cells)" in found.said
    dose_column = next(c for c in found.schema.columns if c.name == "dose")
    assert {".", "-9", "unknown", "N/A", "<0.5", "> 90", "n.d."} == set(dose_column.missing)
    again = tmp_path / "again"
    again.mkdir()
    (again / "mine.csv").write_bytes((tmp_path / path).read_bytes())
    (again / "schema.json").write_text(found.schema.model_dump_json())
    same = read(again, path, **PLAIN, schema="schema.json")  # -9 is known from the schema
    assert same.schema == found.schema
    assert same.cells("north", "dose") == found.cells("north", "dose")


def test_a_text_that_keeps_coming_back_among_numbers_is_a_mark(tmp_path: Path) -> None:
    dose = ["haemolysed" if k % 5 == 0 else str(k / 4) for k in range(N)]
    found = read(tmp_path, saved(tmp_path, table(dose=dose)), **PLAIN)
    assert "'haemolysed' read as missing in dose (6 cells)" in found.said
    assert found.hospitals["south"].coverage.bad_cells == {}


def test_numbers_with_many_other_texts_are_refused_unless_declared(tmp_path: Path) -> None:
    dose = [f"{k} mg" if k % 5 == 0 else str(k / 4) for k in range(N)]
    path = saved(tmp_path, table(dose=dose))
    told = r"'dose': 6 of 30 known cells are no numbers; name it in data\.source\.numeric"
    with pytest.raises(DataError, match=told):
        read(tmp_path, path, **PLAIN)
    found = read(tmp_path, path, **PLAIN, numeric=["age", "dose"])
    assert found.hospitals["north"].coverage.bad_cells == {"dose: not a number": 3}
    assert len(found.hospitals["north"].targets) == 15


def test_none_and_na_may_be_categories(tmp_path: Path) -> None:
    path = saved(tmp_path, table(ward=["None", "icu", "ent"] * 10))
    assert "'None' read as missing in ward (10 cells)" in read(tmp_path, path, **PLAIN).said
    found = read(tmp_path, path, **PLAIN, not_missing=["None"])
    assert found.schema.columns[-1].labels == ("None", "ent", "icu")


@pytest.mark.parametrize(("code", "other"), [(-9, -9.0), (999, 999), (-99, -99)])
def test_a_number_that_may_mean_missing_is_said(tmp_path: Path, code: int, other: float) -> None:
    ages = [code if k % 6 == 0 else 40 + k for k in range(N)]
    path = saved(tmp_path, table(age=ages))
    said = f"column 'age': 5 cells hold {code}, far from all others; if that means missing, name it"
    assert said in read(tmp_path, path, **PLAIN).said
    found = read(tmp_path, path, **PLAIN, missing=[code])
    assert "far from" not in found.said
    assert found.cells("north", "age").count(None) == 3


def test_columns_that_are_no_features_are_left_out_and_said(tmp_path: Path) -> None:
    rows = np.arange(N)
    frame = table(
        number=rows + 1,
        mrn=[f"P{k * 37 % 1000:04d}" for k in rows],
        admitted=[f"2024-03-{k + 1:02d}" for k in rows],
        country=["CH"] * N,
        notes=[""] * N,
        site_id=np.where(rows < 15, 1, 2),
        discharge=np.where(rows % 3 == 0, "gone", "home"),
        death_day=[str(k % 5) if k % 3 == 0 else "" for k in rows],
        platelets=(200_000 + 7919 * rows % 30011 * 7),
        ph=7 + rows / 100,
    )
    path = saved(tmp_path, frame)
    found = read(tmp_path, path, **PLAIN)
    assert [c.name for c in found.schema.columns] == ["age", "dose", "platelets", "ph"]
    for name, why in {
        "number": "it has another number in every row, as an id has",
        "mrn": "it has another text in every row",
        "admitted": "it holds dates",
        "country": "it has one value in every row",
        "notes": "it is empty",
        "site_id": "it says which hospital a row is from",
        "discharge": "it says the same as 'died', which is to be predicted",
        "death_day": "whether it is filled in says 'died', which is to be predicted",
    }.items():
        assert f"column {name!r} is not used: {why}" in found.said
    kept = read(tmp_path, path, **PLAIN, keep=["number", "discharge"])
    assert [c.name for c in kept.schema.columns][2:] == ["number", "discharge", "platelets", "ph"]
    unnamed = read(tmp_path, path, target="died", partition="iid", drop=["site"])
    assert "column 'site_id' is not used: it seems to name the hospital" in unnamed.said
    only = frame[["site", "number", "died"]]
    with pytest.raises(DataError, match=r"no column is left to learn from: column 'number' is not"):
        read(tmp_path, saved(tmp_path, only), **PLAIN)


def test_a_number_in_another_unit_is_no_feature(tmp_path: Path) -> None:
    days = np.random.default_rng(0).permutation(N) + 0.25
    frame = table(days=days, hours=days * 24)
    found = read(
        tmp_path,
        saved(tmp_path, frame),
        hospital="site",
        target="days",
        target_kind="value",
        drop=["died"],
    )
    assert "column 'hours' is not used: it says the same as 'days'" in found.said


def test_hospitals_that_are_numbers_are_names(tmp_path: Path) -> None:
    ids = np.where(np.arange(N) < 15, "1", "2.0")
    assert sorted(read(tmp_path, saved(tmp_path, table(site=ids)), **PLAIN).hospitals) == ["1", "2"]
    frame = table(site=np.where(np.arange(N) < 15, 1.0, 2.0))
    frame.to_parquet(tmp_path / "mine.parquet")
    assert sorted(read(tmp_path, "mine.parquet", **PLAIN).hospitals) == ["1", "2"]
    for wrong, told in (
        (["01", "1"], r"hospitals '01' and '1' of column 'site' are one number"),
        (["north", "North "], r"hospitals 'North' and 'north' would share one folder"),
    ):
        path = saved(tmp_path, table(site=np.where(np.arange(N) < 15, *wrong)))
        with pytest.raises(DataError, match=told):
            read(tmp_path, path, **PLAIN)
    yaml_words = np.where(np.arange(N) < 15, "NO", "null")
    found = read(tmp_path, saved(tmp_path, table(site=yaml_words)), **PLAIN)
    assert sorted(found.hospitals) == ["NO", "null"]


@pytest.mark.parametrize(
    ("cells", "source", "names"),
    [
        (["TRUE", "FALSE"], {}, ("FALSE", "TRUE")),
        (["died", "survived"], {}, ("survived", "died")),
        (["1", "0.0"], {}, ("0", "1")),
        (["1", "2"], {"positive": 2}, ("1", "2")),
        (["1", "2"], {"positive": 1}, ("2", "1")),
        (["low", "high"], {"positive": "low"}, ("high", "low")),
        (["low", "high"], {"classes": ["low", "high"]}, ("low", "high")),
        (["no relapse", "relapse"], {}, ("no relapse", "relapse")),
        (["0", "1", "2"], {}, ("0", "1", "2")),
        (["a", "b", "c"], {"classes": ["c", "b", "a"]}, ("c", "b", "a")),
    ],
)
def test_classes_and_the_event(
    tmp_path: Path, cells: list[str], source: dict[str, Any], names: tuple[str, ...]
) -> None:
    died = [cells[k % 7 % len(cells)] for k in range(N)]
    found = read(tmp_path, saved(tmp_path, table(died=died)), **PLAIN, **source)
    assert found.schema.classes == names
    spelt = {"0.0": "0"}
    truth = [names.index(spelt.get(cell, cell)) for cell in died]
    assert [int(t) for one in found.hospitals.values() for t in one.targets] == truth


@pytest.mark.parametrize(
    ("cells", "source", "told"),
    [
        (["1", "2"], {}, r"holds '1' and '2'; name the event.*data\.source\.positive"),
        (["blue", "red"], {}, r"holds 'blue' and 'red'; name the event.*data\.source\.positive"),
        (["f", "m"], {}, r"data\.source\.positive"),
        (["yes", "no"], {"positive": "dead"}, r"data\.source\.positive: 'dead' is not one of two"),
        (
            ["yes", "no", "lost"],
            {},
            r"'lost' \(\d+ rows\).*List the classes in data\.source\.classes",
        ),
        (["yes", "no", "No"], {}, r"'No' \(\d+ rows\), 'no' \(\d+ rows\)\. List the classes"),
        (["0", "1", "77"], {}, r"'77' \(\d+ rows\)\. List the classes in data\.source\.classes"),
        (["0", "1", "lost"], {}, r"all classes\? 'lost' \(\d+ rows\)\. List the classes"),
        (["0", "1", "9"], {"classes": [0, 1]}, r"'died' is none of '0', '1' in \d of 15 rows: '9'"),
        (["yes"], {}, "has 1 different values, 2 to 50 can be classes"),
    ],
)
def test_outcomes_that_leave_a_doubt_are_refused(
    tmp_path: Path, cells: list[str], source: dict[str, Any], told: str
) -> None:
    path = saved(tmp_path, table(died=[cells[k % 8 % len(cells)] for k in range(N)]))
    with pytest.raises(DataError, match=told):
        read(tmp_path, path, **PLAIN, **source)


@pytest.mark.parametrize(
    ("died", "source", "events"),
    [
        ([0, 1], {}, 1),
        (["alive", "DEAD"], {}, "DEAD"),
        (["TRUE", "False"], {}, "TRUE"),
        ([1, 2], {"event_value": 2}, 2),
        (["1.0", "2.0"], {"event_value": 2}, "2.0"),
        ([0, 1, 2], {"event_value": 1}, 1),
        (["F", "T"], {"event_value": True}, None),
    ],
)
def test_events_however_they_are_coded(
    tmp_path: Path, died: list[object], source: dict[str, Any], events: object
) -> None:
    cells = [died[k % 7 % len(died)] for k in range(N)]
    path = saved(tmp_path, table(died=cells, days=np.arange(N) % 11 + 1))
    asked = {"hospital": "site", "time": "days", "event": "died", **source}
    if events is None:
        with pytest.raises(DataError, match=r"'died' never holds 'True' \(data\.source"):
            read(tmp_path, path, **asked)
        return
    found = read(tmp_path, path, **asked)
    truth = [cell == events for cell in cells]
    assert [bool(t[1]) for one in found.hospitals.values() for t in one.targets] == truth
    assert ("no event are" in found.said) == (len(died) > 2)


def test_codes_of_events_that_leave_a_doubt_are_refused(tmp_path: Path) -> None:
    asked = {"hospital": "site", "time": "days", "event": "died"}
    for codes, told in (
        (
            [1, 2],
            r"holds '1' \(15 rows\), '2' \(15 rows\).*data\.source\.event_value",
        ),
        (["blue", "red"], r"which is the event\? Name it in data\.source\.event_value"),
        (
            [0, 1, 9],
            r"'north': target 'died' is none of 0, 1 in 5 of 15 rows: '9' \(5 rows",
        ),
    ):
        cells = [codes[k % len(codes)] for k in range(N)]
        path = saved(tmp_path, table(died=cells, days=np.arange(N) % 11 + 1))
        with pytest.raises(DataError, match=told):
            read(tmp_path, path, **asked)


def test_labels_are_coded_in_words_too(tmp_path: Path) -> None:
    rows = np.arange(N)
    frame = table(nodule=np.where(rows % 4 == 0, "Yes", "no"), mass=(rows % 5 == 0).astype(int))
    asked = {"hospital": "site", "labels": ["nodule", "mass"], "drop": ["died"]}
    found = read(tmp_path, saved(tmp_path, frame), **asked)
    targets = [t.tolist() for one in found.hospitals.values() for t in one.targets]
    assert targets == [[float(k % 4 == 0), float(k % 5 == 0)] for k in rows]
    assert "column 'nodule': 'yes' is the event, in 8 rows (data.source.positive)" in found.said
    twos = frame.assign(mass=frame["mass"] + 1)
    with pytest.raises(DataError, match=r"'mass' holds '1' .*Name it in data\.source\.positive"):
        read(tmp_path, saved(tmp_path, twos), **asked)


def test_many_categories_have_one_way(tmp_path: Path) -> None:
    icd = [f"A{k % 24:02d}" for k in range(N)]
    path = saved(tmp_path, table(icd=icd))
    told = r"'icd' holds 24 different texts; data\.source\.max_categories takes .*source\.drop"
    with pytest.raises(DataError, match=told):
        read(tmp_path, path, **PLAIN)
    declared = {"numeric": ["age"], "categorical": ["icd"]}
    assert len(read(tmp_path, path, **PLAIN, **declared).schema.columns[1].labels) == 24
    found = read(tmp_path, path, **PLAIN, **declared, max_categories=6)
    column = found.schema.columns[1]
    assert (column.most, column.other, len(column.labels)) == (6, 24, 25)
    assert "of 24 categories at most the 6 commonest among training rows are inputs" in found.said
    codes = [*found.cells("north", "icd"), *found.cells("south", "icd")]
    assert [column.labels[int(code or 0)] for code in codes] == icd
    few = read(tmp_path, path, **PLAIN, **declared, max_categories=30).schema.columns[1]
    assert (few.most, few.other, len(few.labels)) == (None, None, 24)


def test_texts_that_differ_in_capitals_are_said(tmp_path: Path) -> None:
    found = read(tmp_path, saved(tmp_path, table(sex=["f", "m", "F"] * 10)), **PLAIN)
    assert "column 'sex': 'F', 'f' differ in capitals alone, and count apart" in found.said


def test_parquet_of_every_type(tmp_path: Path) -> None:
    import decimal

    rows = np.arange(N)
    frame = table(
        whole=pd.array([None if k == 3 else k % 4 for k in rows], dtype="Int64"),
        flag=pd.array([None if k == 4 else bool(k % 2) for k in rows], dtype="boolean"),
        price=[decimal.Decimal(int(k % 9)) / 4 for k in rows],
        ward=pd.Categorical([["icu ", "ent", " "][k // 2 % 3] for k in rows]),
        seen=pd.date_range("2024-01-01", periods=N),
        small=(rows % 6).astype("int8"),
        grade=pd.Categorical((rows % 3).astype("int64")),
    )
    frame.to_parquet(tmp_path / "mine.parquet")
    found = read(tmp_path, "mine.parquet", **PLAIN)
    kinds = {c.name: (c.kind, c.labels) for c in found.schema.columns}
    assert kinds == {
        **dict.fromkeys(("age", "dose", "whole", "price", "small", "grade"), ("numeric", ())),
        "flag": ("binary", ("False", "True")),
        "ward": ("binary", ("ent", "icu")),
    }
    assert found.cells("north", "whole")[:5] == [0, 1, 2, None, 0]
    assert found.cells("north", "flag")[:6] == [0, 1, 0, 1, None, 1]
    assert found.cells("north", "price")[:3] == [0, 0.25, 0.5]
    assert found.cells("north", "ward")[1:5] == [1, 0, 0, None]
    assert "column 'seen' is not used: it holds dates" in found.said
    table(lists=[[k] for k in rows]).to_parquet(tmp_path / "mine.parquet")
    with pytest.raises(DataError, match=r"column 'lists' holds .*; write numbers or texts"):
        read(tmp_path, "mine.parquet", **PLAIN)


def test_a_schema_is_not_changed_by_a_hospitals_own_file(tmp_path: Path) -> None:
    rows = np.arange(N)
    frame = table(ward=np.array(["icu", "ent", "er"])[rows % 3])
    schema = read(tmp_path, saved(tmp_path, frame), **PLAIN).schema
    (tmp_path / "schema.json").write_text(schema.model_dump_json())
    own = frame.assign(age=7, ward=np.where(rows == 2, "ward 9", frame["ward"]), dose="unknown")
    own["died"] = np.where(rows % 3 == 0, " yes", "no")
    found = read(tmp_path, saved(tmp_path, own), **PLAIN, schema="schema.json")
    assert found.schema == schema
    north = found.hospitals["north"].coverage
    assert north.bad_cells == {"ward: not one of ent, er, icu": 1}
    assert north.missing == {"dose": 15, "ward": 1}
    assert "'unknown' read as missing in dose (30 cells)" in found.said
    own["died"] = np.where(rows % 3 == 0, "dead", "no")
    with pytest.raises(DataError, match=r"'died' is none of 'no', 'yes' in 5 of 15 rows: 'dead'"):
        read(tmp_path, saved(tmp_path, own), **PLAIN, schema="schema.json")


def test_yaml_that_takes_a_name_for_a_value_says_quote_it(tmp_path: Path) -> None:
    from federated.config import load
    from tests.conftest import ROOT

    told = r"data\.hospitals\.0: .*\(got False\); YAML takes an unquoted NO .*: quote it"
    with pytest.raises(ConfigError, match=told):
        load(ROOT / "params.yaml", ["data.hospitals=[NO, 01]"])
    source = "{path: mine.csv, target: died, categorical: [ward, 7]}"
    told = r"data\.source\.categorical\.1: .*\(got 7\); YAML takes .* quote it"
    with pytest.raises(ConfigError, match=told):
        load(ROOT / "params.yaml", ["data.dataset=table", f"data.source={source}"])


@settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    values=st.lists(st.floats(-1e6, 1e6).map(lambda x: round(x, 3)), min_size=N, max_size=N),
    gaps=st.sets(st.integers(0, N - 1), max_size=N // 3),
    mark=st.sampled_from(["", " ", ".", "NA", "-", "unknown", "<5"]),
    sep=st.sampled_from([",", ";", "\t", "|"]),
    decimal=st.sampled_from([".", ","]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_numbers_read_back_or_the_file_is_refused(
    tmp_path: Path,
    values: list[float],
    gaps: set[int],
    mark: str,
    sep: str,
    decimal: str,
    encoding: str,
) -> None:
    cells = [mark if k in gaps else repr(v).replace(".", decimal) for k, v in enumerate(values)]
    frame = table(lab=cells).drop(columns="dose")
    frame.to_csv(tmp_path / "mine.csv", index=False, sep=sep, encoding=encoding)
    table_of = Table(path="mine.csv", target="died", hospital="site", keep=("lab",))
    if decimal == "," and _could_be_thousands(cells):
        with pytest.raises(DataError, match="column 'lab'"):
            table_of.read(tmp_path)
        return
    lab = pd.to_numeric(table_of.read(tmp_path).frame["lab"]).to_numpy(np.float64)
    truth = np.array([np.nan if k in gaps else v for k, v in enumerate(values)])
    np.testing.assert_array_equal(lab, truth)


def _could_be_thousands(cells: list[str]) -> bool:
    """Has every comma one to three digits before it, and three behind?"""
    commas = [cell.lstrip("-").split(",") for cell in cells if "," in cell]
    return all(
        len(left) <= 3 and len(right) == 3 and not left.startswith("0") for left, right in commas
    )
