"""An envelope is verified before it is read, strict in every field, and keeps every bit."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.exchange import canonical
from tasks.exchange.envelope import MOST, Envelope, new_nonce, seal, unseal
from tasks.exchange.refusal import RefusalError
from tests.tasks.exchange.traffic import BASE, NONCE, NORTH, RUN, SOUTH, envelope, signed, values

ENVELOPE = Envelope(
    kind="update",
    run=RUN,
    round=3,
    hospital="north",
    base=BASE,
    payload="ab" * 32,
    nonce=NONCE,
    examples=10,
    steps=5,
    sent=48,
    numbers={"loss": 0.1},
)


def refused(sealed: bytes) -> RefusalError:
    with pytest.raises(RefusalError) as found:
        unseal(sealed, NORTH.public)
    return found.value


def test_on_the_way_it_is_a_signature_and_canonical_json() -> None:
    sealed = seal(ENVELOPE, NORTH)
    text = (
        f'{{"base":"{BASE}","examples":10,"hospital":"north","kind":"update","nonce":"{NONCE}",'
        f'"numbers":{{"loss":"0x1.999999999999ap-4"}},"payload":"{"ab" * 32}","round":3,'
        '"run":"run-7","schema":1,"sent":48,"steps":5}'
    )
    assert sealed[64:] == text.encode()
    assert sealed[:64] == NORTH.sign(b"wardround envelope v1\n" + text.encode())
    assert unseal(sealed, NORTH.public) == ENVELOPE


@given(st.dictionaries(st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True), st.floats()))
def test_every_bit_of_a_number_travels(numbers: dict[str, float]) -> None:
    found = unseal(seal(replace(ENVELOPE, numbers=numbers), NORTH), NORTH.public).numbers
    assert {k: v.hex() for k, v in found.items()} == {k: v.hex() for k, v in numbers.items()}


def test_what_is_signed_elsewhere_is_no_envelope() -> None:
    body = seal(ENVELOPE, NORTH)[64:]
    for prefix in (b"", b"wardround envelope v2\n", b"wardround audit v1\n"):
        assert refused(NORTH.sign(prefix + body) + body).check == "signature"


def test_anothers_signature_is_none() -> None:
    found = refused(seal(ENVELOPE, SOUTH))
    assert (found.check, found.why) == (
        "signature",
        f"not signed with the key of {NORTH.public.text}",
    )


@pytest.mark.parametrize("data", [b"", b"\0", bytes(63), bytes(64), bytes(1000)])
def test_bytes_without_a_signature_are_refused(data: bytes) -> None:
    assert refused(data).check == "signature"


def test_unsigned_json_is_never_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[bytes] = []
    whole = canonical.from_bytes

    def recorded(data: bytes) -> dict[str, Any]:
        parsed.append(data)
        return whole(data)

    monkeypatch.setattr(canonical, "from_bytes", recorded)
    sealed = seal(ENVELOPE, NORTH)
    assert refused(bytes(64) + sealed[64:]).check == "signature"
    assert parsed == []
    unseal(sealed, NORTH.public)
    assert parsed == [sealed[64:]]


def test_more_than_16_kib_are_refused_before_the_signature_is_checked() -> None:
    assert refused(bytes(MOST + 1)).check == "size"
    assert refused(bytes(MOST)).check == "signature"


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        (0, "0"),
        (2, "2"),
        ("1", "'1'"),
        (True, "a value of type bool"),
        (None, "a value of type NoneType"),
        ([1], "a value of type list"),
    ],
)
def test_another_schema_version_is_refused_by_its_name(schema: Any, text: str) -> None:
    """First of all fields: another version may have others."""
    found = refused(signed(canonical.to_bytes(values() | {"schema": schema, "unheard": "of"})))
    assert found.check == "form"
    assert found.why.startswith(f"schema version {text} is not known here, only 1: ")


NAMES = ["", "-a", "_a", "a" * 65, "North", "a b", "a\n", "nörth", "٣", "a.b", "a/b", "..", "../a"]
NAMES += ["/etc", "a\0", "a\\b", "~", "a%2f", "\ud800"]


@pytest.mark.parametrize("field", ["hospital", "run"])
@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_name_is_no_path(field: str, name: str) -> None:
    with pytest.raises(RefusalError, match=f"^form: {field} is "):
        replace(ENVELOPE, **{field: name})
    found = refused(signed(canonical.to_bytes(values() | {field: name})))
    assert found.check == "form"
    assert found.why.isascii()
    assert found.why.isprintable()


@pytest.mark.parametrize("name", ["a", "7", "st-mary", "north_2", "a" * 64])
def test_plain_names_travel(name: str) -> None:
    sent = replace(ENVELOPE, hospital=name)
    assert unseal(seal(sent, NORTH), NORTH.public) == sent


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("kind", "receipt"),
        ("kind", "update\n"),
        ("base", "AB" * 32),
        ("base", "ab" * 31),
        ("payload", "ab" * 33),
        ("payload", "../" * 21 + "a"),
        ("nonce", "0" * 31),
        ("nonce", "0" * 33),
        ("nonce", 7),
        ("round", -1),
        ("round", 2**31),
        ("round", "3"),
        ("round", True),
        ("round", 3.0),
        ("examples", -1),
        ("examples", 2**53),
        ("examples", None),
        ("steps", -1),
        ("steps", 10**400),
        ("sent", "48"),
        ("sent", -1),
        ("run", {}),
        ("hospital", ["north"]),
        ("numbers", None),
        ("numbers", []),
        ("numbers", {"loss": 0}),
        ("numbers", {"loss": None}),
        ("numbers", {"loss": ["0x0.0p+0"]}),
        ("numbers", {"loss": ""}),
        ("numbers", {"loss": "0.1"}),
        ("numbers", {"loss": "0x1p-4"}),  # the same number in another form
        ("numbers", {"loss": "-nan"}),
        ("numbers", {"loss": "infinity"}),
        ("numbers", {"loss": "0x1p+99999"}),
        ("numbers", {"loss": "0x" + "f" * 5000}),
        ("numbers", {"": "0x0.0p+0"}),
        ("numbers", {"Loss": "0x0.0p+0"}),
        ("numbers", {"../loss": "0x0.0p+0"}),
        ("numbers", {f"n{i}": "0x0.0p+0" for i in range(65)}),
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_a_malformed_field_is_refused(field: str, value: Any) -> None:
    found = refused(signed(canonical.to_bytes(values() | {field: value})))
    assert found.check == "form"
    assert len(found.why) < 300


@pytest.mark.parametrize("field", [*values(), "more"])
def test_every_field_and_no_other(field: str) -> None:
    fields = values()
    if fields.pop(field, None) is None:
        fields[field] = "x"
    assert refused(signed(canonical.to_bytes(fields))).check == "form"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"{}",
        json.dumps(values()).encode(),  # with spaces
        canonical.to_bytes(values()) + b"\n",
        canonical.to_bytes(values()).replace(b'"round":3', b'"round":2,"round":3'),
        canonical.to_bytes(values()).replace(b'"round":3', b'"round":3.0'),
        canonical.to_bytes(values()).replace(b'"round":3', b'"round":NaN'),
        b"[" * 16_000,
        b'{"base":' * 2_000,
        b'{"base":' + b"[" * 400 + b"]" * 400 + b"}",
    ],
    ids=lambda body: repr(body[:20]),
)
def test_a_body_in_another_form_is_refused(body: bytes) -> None:
    assert refused(signed(body)).check == "form"


@pytest.mark.parametrize("depth", [100, 300, 450, 900])
@pytest.mark.parametrize("field", ["schema", "run", "round", "numbers"])
def test_deep_nesting_is_refused(field: str, depth: int) -> None:
    text = canonical.to_bytes(values() | {field: "DEEP"})
    deep = b"[" * depth + b"]" * depth
    assert refused(signed(text.replace(b'"DEEP"', deep))).check == "form"


def test_nonces_are_32_digits_and_new() -> None:
    found = {new_nonce() for _ in range(1000)}
    assert len(found) == 1000
    assert all(replace(envelope(), nonce=one).nonce == one for one in found)
