"""Equal values have equal bytes, and other bytes of the same values are refused."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.exchange.canonical import FormError, from_bytes, to_bytes

LEAVES = st.booleans() | st.integers() | st.text()
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner)
)
OBJECTS = st.dictionaries(st.text(), VALUES, max_size=4)


def test_keys_are_in_order_without_space() -> None:
    assert to_bytes({"b": [1, True], "a": "ä"}) == b'{"a":"\\u00e4","b":[1,true]}'
    assert from_bytes(b'{"a":"\\u00e4","b":[1,true]}') == {"a": "ä", "b": [1, True]}


@given(OBJECTS)
def test_what_is_written_is_read(values: dict[str, Any]) -> None:
    assert from_bytes(to_bytes(values)) == values


@given(OBJECTS, st.integers(0, 2**20), st.sampled_from([b" ", b"\n", b"\t", b"\x00", b"}"]))
def test_one_more_byte_is_another_value_or_no_canonical_form(
    values: dict[str, Any], at: int, more: bytes
) -> None:
    data = to_bytes(values)
    at %= len(data) + 1
    other = data[:at] + more + data[at:]
    try:
        found = from_bytes(other)
    except FormError:
        return
    assert found != values
    assert to_bytes(found) == other


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"1",
        b'{"a":1}\n',
        b'{ "a":1}',
        b'{"b":1,"a":2}',
        b'{"a":1,"a":1}',
        b'{"a":1.50}',
        b'{"a":1e0}',
        b'{"a":-0}',
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":"\xc3\xa4"}',  # as it is, not escaped
        b'{"a":"\\u00E4"}',  # escaped with a capital letter
        b'{"a":"\xff"}',
        b'{"a":"\\/"}',
        b'{"a":' + b"9" * 5000 + b"}",
        b'\xef\xbb\xbf{"a":1}',
        '{"a":1}'.encode("utf-16"),
        b'{"a":' + b"[" * 100_000,
        b'{"a":' + b"[" * 900 + b"]" * 900 + b"} ",
    ],
    ids=lambda data: repr(data[:24]),
)
def test_any_other_form_is_refused(data: bytes) -> None:
    with pytest.raises(FormError):
        from_bytes(data)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_no_number_beyond_json_is_written(value: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        to_bytes({"a": value})
