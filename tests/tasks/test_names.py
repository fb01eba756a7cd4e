"""A hospital or class called as a number, a date or a switch is a text in every file."""

from datetime import date
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from federated.config import load
from federated.errors import ConfigError
from federated.sections import read_yaml, write_yaml
from tasks.exchange.fields import COORDINATOR, NAME
from tasks.exchange.keys import PublicKey
from tasks.exchange.roster import Member, Roster, read_roster, write_roster
from tasks.exchange.site import read_site, site_text
from tasks.hospital_files import load_hospital
from tasks.preparation import partition, prepare
from tasks.report_files import ROUNDS, read_results, read_rounds
from tests.conftest import ROOT
from tests.tasks.samples import write_sample
from tests.tasks.test_preparation import changed, config

# what YAML 1.1, YAML 1.2, JSON, pandas or numpy may take for something else
NASTY = (
    *("0e0", "1e5", "1e-3", "12e3", "1_000", "0x1f", "0o17", "017", "12-30", "1-1", "007", "0b1"),
    *("no", "on", "y", "inf", "true", "2026-01-01", "1e999", "infinity", "e5", "1e", "false"),
)
MISSING_IN_A_TABLE = ("null", "nan", "none")
KEY = PublicKey("ed25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=")
HOSPITALS = st.one_of(
    st.sampled_from([*NASTY, *MISSING_IN_A_TABLE]), st.from_regex(NAME, fullmatch=True)
).filter(lambda name: name != COORDINATOR)
TEXTS = st.one_of(
    st.sampled_from([*NASTY, *map(str.upper, NASTY)]),
    st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=12),
)


@given(st.dictionaries(TEXTS, st.lists(TEXTS), max_size=4))
@example({"0e0": ["1E5", "+1e2", "1.e3", "~", "=", "<<", "- a", "a: b", "#", "", "12:30"]})
def test_yaml_gives_back_what_was_written(values: dict[str, list[str]]) -> None:
    assert read_yaml(write_yaml(values)) == values


@given(HOSPITALS)
def test_rosters_and_sites_keep_the_name(
    tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    folder = tmp_path_factory.getbasetemp()
    roster = Roster(hospitals={name: Member(key=KEY, max_examples=9, added=date(2026, 11, 27))})
    write_roster(folder / "roster.yaml", roster)
    assert read_roster(folder / "roster.yaml") == roster
    (folder / "site.yaml").write_text(site_text(name, name, KEY.text, name, f"keys/{name}"))
    site = read_site(folder / "site.yaml")
    assert (site.name, site.data, site.exchange) == (name, name, name)


def test_params_hold_quoted_names_and_refuse_others(tmp_path: Path) -> None:
    values = read_yaml((ROOT / "params.yaml").read_text(encoding="utf-8"))
    values["data"] |= {"hospitals": [*NASTY], "leave_out": ["1E5"]}
    (tmp_path / "params.yaml").write_text(write_yaml(values))
    data = load(tmp_path / "params.yaml").data
    assert (data.hospitals, data.leave_out) == (NASTY, ("1E5",))
    with pytest.raises(ConfigError, match=r"data\.leave_out\.0: .*quote it"):
        load(ROOT / "params.yaml", ["data.leave_out=[1e5]"])


def test_a_table_keeps_hospitals_classes_and_columns(tmp_path: Path) -> None:
    lines = ["site,1e5,0e0,no"]
    lines += [f"{name},{i},{i % 7},{'1e5' if i % 2 else 'yes'}" for name in NASTY for i in range(9)]
    (tmp_path / "mine.csv").write_text("\n".join(lines) + "\n")
    source = {"path": "mine.csv", "target": "no", "hospital": "site", "classes": ["yes", "1e5"]}
    data = config(dataset="table", source=source, hospitals=list(NASTY), min_rows=5)
    assert sorted(one.hospital for one in prepare(data, tmp_path, tmp_path / "p")) == sorted(NASTY)
    assert sorted(partition(data, tmp_path / "p", tmp_path / "h")) == sorted(NASTY)
    raw = load_hospital(tmp_path / "h" / "0e0")
    assert (raw.name, raw.coverage.hospital, raw.schema.classes) == ("0e0", "0e0", ("yes", "1e5"))
    assert raw.coverage.classes == {"yes": 5, "1e5": 4}
    assert raw.features[:, 0].tolist() == [*range(9)]


def test_classes_that_look_like_numbers_stay_apart(tmp_path: Path) -> None:
    codes = ("0e0", "0e1", "1e5", "100000")
    lines = ["x,code", *(f"{i % 7},{codes[i % 4]}" for i in range(40))]
    (tmp_path / "mine.csv").write_text("\n".join(lines) + "\n")
    data = config(
        dataset="table",
        source={"path": "mine.csv", "target": "code", "classes": list(codes)},
        partition={"name": "iid", "hospitals": 2},
    )
    found = prepare(data, tmp_path, tmp_path / "p")
    assert found[0].classes == dict.fromkeys(codes, 10)
    two = {"path": "mine.csv", "target": "code", "positive": "1e5"}
    (tmp_path / "mine.csv").write_text("x,code\n" + "1,0e0\n2,1e5\n2,0e0\n" * 20)
    prepare(changed(data, source=two), tmp_path, tmp_path / "p")
    partition(changed(data, source=two), tmp_path / "p", tmp_path / "h")
    assert load_hospital(tmp_path / "h" / "hospital-1").schema.classes == ("0e0", "1e5")


def test_results_keep_hospitals(tmp_path: Path) -> None:
    write_sample(tmp_path, hospitals=NASTY)
    assert sorted(read_results(tmp_path).hospitals) == sorted(NASTY)
    assert {row.hospital for row in read_rounds(tmp_path / ROUNDS)} >= {*NASTY}
