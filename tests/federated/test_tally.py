"""What training rows hold besides sums, by hand."""

from dataclasses import replace

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from federated.records import RawHospital
from federated.schema import Column, Coverage, TableSchema
from federated.tally import Tally, merge, readable, tally

NAN = float("nan")
SCHEMA = TableSchema(
    columns=(
        Column(name="age", kind="numeric"),
        Column(name="sex", kind="binary", codes=(0, 1)),
        Column(name="ward", kind="categorical", codes=(0, 1, 2)),
    ),
    target="ill",
    classes=("no", "yes"),
)


def rows(*each: tuple[float, float, float]) -> torch.Tensor:
    return torch.tensor(each, dtype=torch.float64)


def test_by_hand() -> None:
    """Eight patients: two without an age; nobody in ward 2, one in ward 1."""
    training = rows(*[(40, 1, 0)] * 5, (50, 0, 1), (NAN, 0, 0), (NAN, 0, NAN))
    assert tally(training, SCHEMA) == Tally(
        read=(True, True, True),
        missing=(1, 0, 1),  # 2 and 1, both said as 1
        levels=((), (1, 5), (6, 1, 0)),
        varies=(True, False, False),
    )


def test_a_column_known_of_four_reads_as_missing_for_all() -> None:
    training = rows(*[(NAN, 1, 0)] * 6, *[(60, 1, 0)] * 4)
    assert readable(training).tolist() == [False, True, True]
    found = tally(training, SCHEMA)
    assert found.read == (False, True, True)
    assert found.missing == (10, 0, 0)
    assert not any(found.varies)


def test_a_constant_column_does_not_vary() -> None:
    assert tally(rows(*[(0, 1, 0)] * 6), SCHEMA).varies == (False, False, False)


def test_a_patient_with_several_rows_counts_once() -> None:
    """Ages of 4 patients in 12 rows; ward 0 of 6 patients, ward 1 of 2 in 6 rows."""
    whose = torch.tensor([*range(4)] * 3 + [4, 5] * 3 + [6, 7] * 3)
    training = rows(*[(40, 1, 0)] * 12, *[(NAN, 1, 0)] * 6, *[(NAN, 0, 1)] * 6)
    split = torch.zeros(24, dtype=torch.uint8)
    coverage = Coverage(hospital="h", rows=24, kept=24, patients=8)
    targets = torch.arange(24) % 2
    raw = RawHospital("h", training, targets, split, SCHEMA, coverage, whose)
    assert readable(raw.training_features).tolist() == [False, True, True]
    assert raw.training_features[:, 1:].equal(training[:, 1:])
    assert raw.trains_on == 8
    found = tally(raw.training_features, SCHEMA, raw.training_patients)
    assert found.read == (False, True, True)
    assert found.missing == (8, 0, 0)
    assert found.levels == ((), (1, 6), (6, 1, 0))  # 2 are said as 1
    plain = replace(raw, patients=None)
    assert readable(plain.training_features).tolist() == [True, True, True]
    assert plain.trains_on == 24


def test_tallies_add_up() -> None:
    one = Tally((True, False), (1, 20), ((), (0, 0)), (False, False))
    other = Tally((False, False), (30, 7), ((), (5, 1)), (True, False))
    both = Tally((True, False), (31, 27), ((), (5, 1)), (True, False))
    assert merge([one, other]) == merge([other, one]) == both


@settings(max_examples=50, deadline=None)
@given(counts=st.lists(st.integers(0, 9), min_size=3, max_size=3))
def test_no_number_from_two_to_four_is_ever_said(counts: list[int]) -> None:
    wards = [float(code) for code, n in enumerate(counts) for _ in range(n)]
    training = rows(*[(1, 1, ward) for ward in wards], *[(1, 1, NAN)] * 2, *[(1, 1, 0)] * 5)
    found = tally(training, SCHEMA)
    for said, true in zip(found.levels[2], (counts[0] + 5, *counts[1:]), strict=True):
        assert said == (true if true >= 5 else min(true, 1))
    assert found.missing[2] == 1
