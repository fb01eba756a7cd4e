"""Any file a hospital may export is read right, or refused with file, key, line or column.

WARDROUND_FILES says how many files are tried; 2,000 take some minutes.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from federated.config import DataConfig
from federated.errors import ConfigError, DataError
from federated.records import RawHospital
from federated.schema import Column, Coverage, TableSchema
from tasks.preparation import load_hospital, partition, prepare
from tests.files.made import OBVIOUS, Habits, Truth, draw, truth, write

ROOT = Path(__file__).resolve().parents[2]
FILES = int(os.environ.get("WARDROUND_FILES", "120"))
DECLARED = {"numeric": ["age", "lab"], "binary": ["sex"], "categorical": ["code"]}


def settings(habits: Habits) -> DataConfig:
    source: dict[str, Any] = {
        "path": f"export.{habits.format}",
        "target": "outcome",
        "hospital": "site",
    }
    if habits.kinds:
        source |= DECLARED
    if habits.declared and habits.mark:
        source["missing"] = [habits.mark]
    section = yaml.safe_load((ROOT / "params.yaml").read_text())["data"]
    section |= {"dataset": "table", "source": source, "hospitals": [], "min_rows": 5}
    return DataConfig.model_validate(section)


def read(data: DataConfig, folder: Path) -> tuple[list[Coverage], dict[str, RawHospital]]:
    """What prepare and partition make of the file, by hospital."""
    coverage = prepare(data, folder, folder / "prepared")
    names = partition(data, folder / "prepared", folder / "hospitals")
    loaded = [load_hospital(folder / "hospitals" / name) for name in names]
    return coverage, {raw.name: raw for raw in loaded}


@pytest.mark.parametrize("seed", range(FILES))
def test_right_or_refused(seed: int, tmp_path: Path) -> None:
    habits = draw(seed)
    true = truth(habits)
    write(habits, true, tmp_path / "export.csv")
    refusal = None
    try:
        coverage, hospitals = read(settings(habits), tmp_path)
    except (ConfigError, DataError) as error:
        refusal = str(error)
    if refusal is not None:
        assert not habits.plain, f"{habits}\nrefused: {refusal}"
        helps = ("data.", "line ", "column", "row ")
        assert any(word in refusal for word in helps), f"{habits}\nunhelpful: {refusal}"
        return
    said = " ".join(note for raw in hospitals.values() for note in raw.coverage.notes)
    if habits.fault == "unknown-outcome":  # a third class, unless it was counted as a bad cell
        classes = next(iter(hospitals.values())).schema.classes
        assert len(classes) == 3, f"{habits}\nan unknown code passed"
        assert "outcome" in said, f"{habits}\na third class was inferred without a word"
        return
    passing = ("none", "blank-outcome", "endless")
    assert habits.fault in passing or habits.format == "parquet", f"{habits}\na fault passed"
    if habits.fault == "endless":
        assert any("age" in why for one in coverage for why in one.bad_cells), habits
    _rows_and_events(habits, true, coverage, hospitals)
    for name, raw in hospitals.items():
        _features(habits, true, name, raw, said)
    if any(_across(raw) for raw in hospitals.values()):
        assert "again, the same" in said, f"{habits}\nthe same row trains and tests, unsaid: {said}"
    if habits.outcome not in ("zero", "floats", "mixed"):
        assert "outcome" in said, f"{habits}\nthe event was guessed without a word: {said}"


def _rows_and_events(
    habits: Habits, true: Truth, coverage: list[Coverage], hospitals: dict[str, RawHospital]
) -> None:
    names = np.array(true.hospital)
    assert sorted(hospitals) == sorted(set(names)), habits
    for one in coverage:
        here = names == one.hospital
        schema = hospitals[one.hospital].schema
        assert one.rows == here.sum(), habits
        assert one.kept == (here & true.known).sum(), (habits, one)
        assert sum(one.quarantined.values()) == (here & ~true.known).sum(), (habits, one)
        event = one.classes[schema.classes[1]]
        assert event == (here & true.known & true.event).sum(), (habits, one)
        assert hospitals[one.hospital].targets.sum() == event, habits


def _features(habits: Habits, true: Truth, name: str, raw: RawHospital, said: str) -> None:
    schema = raw.schema
    assert isinstance(schema, TableSchema)
    here = (np.array(true.hospital) == name) & true.known
    columns = {column.name: i for i, column in enumerate(schema.columns)}
    unexpected = set(columns) - {"age", "lab", "sex", "code"}
    assert not unexpected, f"{habits}\nbecame features: {unexpected}"
    values = raw.features.numpy()
    ages = values[:, columns["age"]]
    assert (ages == true.age[here])[~np.isnan(ages)].all(), habits
    assert np.isnan(ages).sum() <= (habits.fault == "endless"), habits
    lab = values[:, columns["lab"]]
    if habits.mark in ("-9", "999") and not habits.declared:
        assert "lab" in said, f"{habits}\na number that may mark a missing cell passed unsaid"
    else:
        np.testing.assert_array_equal(lab, true.lab[here], err_msg=str(habits))
        if habits.mark in OBVIOUS and not habits.declared:
            assert "lab" in said or habits.mark in ("NA", "?", "n/a"), f"{habits}\nunsaid mark"
    _texts(habits, schema.columns[columns["sex"]], values[:, columns["sex"]], true.sex[here])
    if "code" in columns:
        _texts(habits, schema.columns[columns["code"]], values[:, columns["code"]], true.code[here])
    else:
        assert "code" in said, f"{habits}\nthe codes were left out unsaid"
    extra = {"mrn": habits.patient_ids, "discharge": habits.leak, "admitted": habits.dates}
    for column, present in extra.items():
        if present:
            dropped = f"{said} {raw.coverage.dropped_columns}"
            assert column in dropped, f"{habits}\n{column} was left out unsaid"


def _across(raw: RawHospital) -> bool:
    """Does a training row stand among the test rows again, its target too?"""
    rows = np.column_stack([raw.features.numpy(), raw.targets.numpy()]).round(6)
    train, test = (
        {tuple(row) for row in np.nan_to_num(rows[mask.numpy()], nan=-1)}
        for mask in (raw.train, raw.test)
    )
    return bool(train & test)


def _texts(habits: Habits, column: Column, values: np.ndarray, texts: np.ndarray) -> None:
    """Every cell reads back as the text that it was."""
    labels = dict(zip(column.codes, column.labels, strict=True))
    assert [labels.get(code) for code in values] == [*texts], (habits, column)
