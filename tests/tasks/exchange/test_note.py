import random
from dataclasses import replace
from typing import Any

import pytest

from tasks.exchange import canonical
from tasks.exchange.envelope import Envelope, seal
from tasks.exchange.note import MOST, Note, open_note, seal_note
from tasks.exchange.refusal import RefusalError
from tests.tasks.exchange.traffic import COORDINATOR, NONCE, NORTH

NOTE = Note("counts", "run-7", "north", 3, NONCE, body={"test": {"rows": 4}, "validation": None})


def refused(sealed: bytes, run: str = "run-7", hospital: str = "north") -> str:
    with pytest.raises(RefusalError) as found:
        open_note(sealed, NORTH.public, run, hospital)
    return found.value.check


def test_a_note_comes_back_as_it_was_signed() -> None:
    assert open_note(seal_note(NOTE, NORTH), NORTH.public, "run-7", "north") == NOTE


def test_each_thing_that_is_not_right_is_named() -> None:
    sealed = seal_note(NOTE, NORTH)
    assert refused(seal_note(NOTE, COORDINATOR)) == "signature"
    assert refused(sealed, run="run-8") == "run"
    assert refused(sealed, hospital="south") == "hospital"
    assert refused(bytes(MOST + 1)) == "size"


def test_an_envelope_is_no_note() -> None:
    envelope = Envelope("update", "run-7", 3, "north", "a" * 64, "b" * 64, NONCE)
    assert refused(seal(envelope, NORTH)) == "signature"


def test_no_bit_can_be_changed() -> None:
    sealed = seal_note(NOTE, NORTH)
    for bit in range(8 * len(sealed)):
        other = bytearray(sealed)
        other[bit // 8] ^= 1 << bit % 8
        assert refused(bytes(other)) == "signature"
    for seed in range(200):
        assert refused(random.Random(seed).randbytes(seed * 7)) == "signature"


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "Counts"},
        {"kind": 3},
        {"run": "../run"},
        {"hospital": ""},
        {"round": -1},
        {"round": True},
        {"nonce": "xyz"},
        {"answers": None},
        {"body": []},
        {"schema": 2},
        {"more": 1},
    ],
)
def test_an_insiders_malformed_note_is_refused(fields: dict[str, Any]) -> None:
    values = {"schema": 1, "answers": "", **vars(NOTE)} | fields
    body = canonical.to_bytes(values)
    assert refused(NORTH.sign(b"wardround note v1\n" + body) + body) == "form"


def test_a_body_takes_no_number_that_json_does_not_hold() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        seal_note(replace(NOTE, body={"loss": float("nan")}), NORTH)
