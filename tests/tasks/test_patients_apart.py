"""Patients with several rows: on one side of every split, counted once, said if not declared."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import KNeighborsClassifier

from federated.config import DataConfig
from federated.errors import ConfigError, DataError
from federated.records import RawHospital
from federated.split import TEST, TRAIN, split
from tasks.hospital_files import load_hospital
from tasks.preparation import partition, prepare
from tasks.splitting import codes_of
from tests.conftest import ROOT
from tests.tasks.test_preparation import changed, config

REPEATED = ROOT.parent / "shared" / "cases" / "repeated-patients" / "repeated.csv"
SOURCE = {"path": "rows.csv", "target": "dead", "hospital": "site"}
IID = {"name": "iid", "hospitals": 3}


def rows(patients: int = 60, visits: int = 4) -> pd.DataFrame:
    """Several nearly equal rows a patient, whose outcome is a coin toss, at two hospitals."""
    generator = np.random.default_rng(0)
    whose = generator.permutation(np.repeat(np.arange(patients), visits))
    features = generator.standard_normal((patients, 8))[whose]
    features += generator.normal(0, 0.03, features.shape)
    dead = generator.permutation(np.arange(patients) % 2)[whose]
    days = pd.to_timedelta(generator.integers(0, 2000, len(whose)), unit="D")
    return pd.DataFrame(features, columns=[f"x{i}" for i in range(8)]).assign(
        site=np.where(whose % 2, "north", "south"),
        patient=[f"MRN-{i:05d}" for i in whose],
        seen=(pd.Timestamp("2019-01-01") + days).strftime("%Y-%m-%d"),
        dead=np.where(dead == 1, "yes", "no"),
    )


def data_of(folder: Path, frame: pd.DataFrame, **source: Any) -> DataConfig:
    frame.to_csv(folder / "rows.csv", index=False)
    return config(dataset="table", source={**SOURCE, **source}, hospitals=[], min_rows=5)


def made(data: DataConfig, folder: Path) -> list[RawHospital]:
    prepare(data, folder, folder / "p")
    names = partition(data, folder / "p", folder / "h")
    return [load_hospital(folder / "h" / name) for name in names]


def said(hospitals: Sequence[RawHospital]) -> str:
    return "\n".join(note for raw in hospitals for note in raw.coverage.notes)


def auroc(hospitals: Sequence[RawHospital]) -> float:
    """Of scikit-learn's nearest neighbour: .5 if it has not seen the patient before."""
    parts = [(raw.features, raw.targets, raw.train, raw.test) for raw in hospitals]
    features, targets, train, test = (torch.cat(each).numpy() for each in zip(*parts, strict=True))
    nearest = KNeighborsClassifier(1).fit(features[train], targets[train])
    return float(roc_auc_score(targets[test], nearest.predict_proba(features[test])[:, 1]))


def apart(raw: RawHospital) -> bool:
    """Has every patient one use?"""
    assert raw.patients is not None
    pairs = torch.stack([raw.patients, raw.split.long()], dim=1)
    return len(pairs.unique(dim=0)) == len(raw.patients.unique())


def test_patients_are_kept_on_one_side_and_counted(tmp_path: Path) -> None:
    data = changed(data_of(tmp_path, rows(), patient="patient"), validation_fraction=0.2)
    hospitals = made(data, tmp_path)
    for raw in hospitals:
        assert apart(raw)
        assert raw.patients is not None
        assert raw.coverage.patients == 30
        # 30 · 0.34 = 10.2 → 10 test, 30 · 0.2 = 6 validate, 14 are left
        each = [len(raw.patients[raw.split == code].unique()) for code in range(3)]
        assert each == [14, 10, 6]
        assert raw.trains_on == 14
        assert [column.name for column in raw.schema.columns] == [f"x{i}" for i in range(8)]
    assert "looks like" not in said(hospitals)
    assert "north: its 120 rows are of 30 patients; metrics count rows" in said(hospitals)
    with pytest.raises(DataError, match="120 rows are usable and are of 30 patients"):
        prepare(changed(data, min_rows=31), tmp_path, tmp_path / "q")


def test_ids_stay_in_the_raw_file(tmp_path: Path) -> None:
    made(data_of(tmp_path, rows(), patient="patient"), tmp_path)
    paths = [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "rows.csv"]
    assert not any(b"MRN-0" in path.read_bytes() for path in paths)
    whose = pd.read_csv(tmp_path / "p/south/records.csv")["patient_code"]
    assert whose.drop_duplicates().tolist() == [*range(30)]


@pytest.mark.parametrize("partition_", [{"name": "natural"}, IID, {"name": "shards"}])
def test_a_coin_toss_is_not_foretold(tmp_path: Path, partition_: dict[str, Any]) -> None:
    """Without the column a model knows again the patients that it is tested on."""
    frame = rows(200, 3)
    given = changed(data_of(tmp_path, frame, patient="patient"), partition=partition_)
    assert auroc(made(given, tmp_path)) == pytest.approx(0.5, abs=0.12)
    plain = changed(data_of(tmp_path, frame), partition=partition_)
    again = made(plain, tmp_path)
    assert auroc(again) > 0.9
    assert "column 'patient' looks like a patient's id and repeats: it is not used" in said(again)
    assert "data.source.patient" in said(again)


def test_the_sample_with_repeated_patients(tmp_path: Path) -> None:
    if not REPEATED.exists():
        pytest.skip("needs the folder of cases")
    frame = pd.read_csv(REPEATED)
    hospitals = made(data_of(tmp_path, frame, patient="patient"), tmp_path)
    assert all(apart(raw) for raw in hospitals)
    assert auroc(hospitals) == pytest.approx(0.5, abs=0.15)
    plain = made(data_of(tmp_path, frame), tmp_path)
    assert "column 'patient' looks like a patient's id and repeats" in said(plain)
    assert auroc(plain) > 0.85


def test_a_made_up_hospital_has_whole_patients(tmp_path: Path) -> None:
    data = changed(data_of(tmp_path, rows(), patient="patient"), partition=IID)
    prepare(data, tmp_path, tmp_path / "p")
    hospitals = made(data, tmp_path)
    assert [raw.coverage.patients for raw in hospitals] == [20, 20, 20]
    assert [raw.coverage.kept for raw in hospitals] == [80, 80, 80]
    assert all(apart(raw) for raw in hospitals)


def test_the_split_depends_on_seed_hospital_and_patients_alone(tmp_path: Path) -> None:
    data = data_of(tmp_path, rows(), patient="patient")
    north, south = made(data, tmp_path)
    frame = rows()
    fewer = frame[(frame["site"] == "north") | (frame["patient"] > "MRN-00030")]
    (again, _) = made(data_of(tmp_path, fewer, patient="patient"), tmp_path)
    assert torch.equal(again.split, north.split)
    renamed = frame.assign(patient=frame["patient"].str.replace("MRN", "person"))
    (_, other) = made(data_of(tmp_path, renamed, patient="patient"), tmp_path)
    assert torch.equal(other.split, south.split)


def test_patients_of_one_row_each_are_drawn_as_rows_are(tmp_path: Path) -> None:
    targets = np.repeat([0, 1, 0], [40, 30, 5])
    data = config(validation_fraction=0.2)
    codes = codes_of(data, "va", targets, None, np.random.default_rng(1).permutation(75), None)
    assert np.array_equal(codes, split("va", targets, 0.34, 0.2, 2026))


@given(
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 1), st.integers(0, 9)), min_size=8).filter(
        lambda cells: len({whose for whose, _, _ in cells}) > 2
    ),
    st.booleans(),
)
def test_rule(cells: list[tuple[int, int, int]], by_time: bool) -> None:
    """Any patients, outcomes and times: one use a patient, and some of each."""
    whose, ill, when = (np.array(each) for each in zip(*cells, strict=True))
    latest = {one: when[whose == one].max() for one in whose}
    if by_time and len(set(latest.values())) == 1:
        return
    times = when if by_time else None
    codes = codes_of(config(validation_fraction=0.3), "h", ill, None, whose, times)
    assert {TRAIN, TEST} <= set(codes.tolist())
    uses = {one: set(codes[whose == one].tolist()) for one in whose}
    assert all(len(use) == 1 for use in uses.values())
    if by_time:
        tested = [latest[one] for one, use in uses.items() if use == {TEST}]
        assert when[codes == TRAIN].max() < min(tested)


def test_rows_without_a_patient_are_named(tmp_path: Path) -> None:
    frame = rows()
    frame.loc[[4, 9], "patient"] = None
    with pytest.raises(
        DataError, match=r"2 rows have no patient in column 'patient' \(row number 5"
    ):
        made(data_of(tmp_path, frame, patient="patient"), tmp_path)
    with pytest.raises(DataError, match="no column 'patinet'; did you mean 'patient'"):
        made(data_of(tmp_path, rows(), patient="patinet"), tmp_path)
    for source in ({"keep": ["patient"]}, {"split": {"by": "dead"}}, {"split": {"by": "patient"}}):
        with pytest.raises(ConfigError, match=r"data\.source\.(keep|split\.by)"):
            _ = data_of(tmp_path, rows(), patient="patient", **source).reader


def test_the_same_patient_at_two_hospitals_is_said(tmp_path: Path) -> None:
    frame = rows()
    moved = frame[frame["patient"].isin(["MRN-00002", "MRN-00004"])].assign(site="north")
    both = pd.concat([frame, moved.assign(x0=0.5)])
    text = said(made(data_of(tmp_path, both, patient="patient"), tmp_path))
    assert "north: 2 of its 32 patient ids stand at other hospitals too" in text
    assert "south: 2 of its 30 patient ids stand at other hospitals too" in text
    text = said(made(data_of(tmp_path, both), tmp_path))
    assert "looks like a patient's id and repeats, also from hospital to hospital" in text


@pytest.mark.parametrize(
    ("name", "source", "words"),
    [
        ("Patient ID", {}, "it is not used"),
        ("pid", {"drop": ["pid"]}, "it is not used"),
        (
            "subject_no",
            {"keep": ["subject_no"], "max_categories": 9},
            "it is a feature all the same",
        ),
        ("MRN", {"numeric": ["x0", "x1"]}, "it is not used"),
    ],
)
def test_what_looks_like_an_id_is_said(
    tmp_path: Path, name: str, source: dict[str, Any], words: str
) -> None:
    frame = rows().rename(columns={"patient": name})
    text = said(made(data_of(tmp_path, frame, **source), tmp_path))
    assert f"column {name!r} looks like a patient's id and repeats: {words}" in text


def test_what_does_not_look_like_an_id_is_not(tmp_path: Path) -> None:
    frame = rows().drop(columns="patient")
    few = frame.assign(patient=np.where(frame["x0"] > 0, "in", "out"))
    assert "looks like" not in said(made(data_of(tmp_path, few), tmp_path))
    unique = frame.assign(patient=range(len(frame)))
    assert "looks like a patient" not in said(made(data_of(tmp_path, unique), tmp_path))


@pytest.mark.parametrize("patient", [None, "patient"])
def test_the_latest_rows_test(tmp_path: Path, patient: str | None) -> None:
    frame = rows()
    source = {"split": {"by": "seen"}} | (
        {"patient": patient} if patient else {"drop": ["patient"]}
    )
    hospitals = made(data_of(tmp_path, frame, **source), tmp_path)
    for raw in hospitals:
        own = frame[frame["site"] == raw.name]
        when = own["seen"].to_numpy()
        if patient:
            when = own.groupby("patient")["seen"].transform("max").to_numpy()
            assert apart(raw)
        train, test = raw.train.numpy(), raw.test.numpy()
        assert when[train].max() < when[test].min()
        assert abs(test.mean() - 0.34) < 0.1
        assert f"{raw.name}: split by time, its test rows are the latest" in said(hospitals)
        assert "seen" not in [column.name for column in raw.schema.columns]
    days = frame.assign(seen=(pd.to_datetime(frame["seen"]) - pd.Timestamp("2019")).dt.days)
    source["split"] = {"by": "seen", "format": "number"}
    numbers = made(data_of(tmp_path, days, **source), tmp_path)
    assert [raw.split.tolist() for raw in numbers] == [raw.split.tolist() for raw in hospitals]


def test_a_split_by_time_says_which_outcome_one_side_lacks(tmp_path: Path) -> None:
    frame = rows().drop(columns="patient")
    frame["seen"] = np.where(frame["dead"] == "yes", "2020-01-01", frame["seen"].str[:4] + "-06-01")
    frame["seen"] = frame["seen"].where(frame["dead"] == "yes", "2024-01-01")
    text = said(made(data_of(tmp_path, frame, split={"by": "seen"}), tmp_path))
    assert "north: split by time, none of its training rows is of: no" in text
    assert "north: split by time, none of its test rows is of: yes" in text
