"""Counts packed for the journal: exact, small, and refused when they contradict themselves."""

import json
import zlib

import pytest
import torch

from federated.counts import Counts, to_dict
from federated.errors import DataError
from federated.objectives import Objective
from federated.objectives.regression import Regression
from tasks.packed_counts import Packed, pack, unpack
from tests.federated.make import YES_NO, of_classes
from tests.tasks.samples import counted


def plain(found: dict[str, Counts]) -> dict[str, object]:
    return {h: to_dict(c) for h, c in found.items()}


@pytest.mark.parametrize("objective", [YES_NO, of_classes(3), Regression("days")], ids=str)
def test_counts_read_back_to_the_last_unit(objective: Objective) -> None:
    found = {h: counted(i, 0.5 * i, objective) for i, h in enumerate(("b", "a", "c"))}
    assert list(unpack(pack(found).data)) == ["b", "a", "c"]
    assert plain(unpack(pack(found).data)) == plain(found)


def test_whole_numbers_may_exceed_64_bits() -> None:
    found = Regression("days").count(
        torch.full((3, 1), 2e4), torch.full((3,), -2e4).double(), 10, 5
    )
    assert max(v for v in to_dict(found).values() if isinstance(v, int)) > 2**64
    assert plain(unpack(pack({"a": found}).data)) == plain({"a": found})


def test_no_hospitals_are_no_bytes() -> None:
    assert (pack({}), unpack(b"")) == (Packed(b"", None), {})


def test_a_hospital_of_60_rows_takes_a_few_hundred_bytes() -> None:
    """2,000 bins of scores, of which 100 rows fill at most 100."""
    found = {f"h{i}": counted(i % 4, 1.0, YES_NO) for i in range(50)}
    assert len(pack(found).data) / 50 < 500
    assert len(json.dumps(plain(found))) / 50 > 6000


def test_counts_that_contradict_themselves_are_refused() -> None:
    values = json.loads(zlib.decompress(pack({"a": counted(0, 1.0, YES_NO)}).data[4:]))
    values["whole"]["rows"] = [7]
    body = zlib.compress(json.dumps(values).encode())
    with pytest.raises(DataError, match="contradict"):
        unpack(len(body).to_bytes(4) + body)
