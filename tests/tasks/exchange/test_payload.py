"""A payload holds exactly the expected tensors, or it is refused before anything parses it."""

import json
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from federated.types import Weights
from federated.weights import to_bytes
from tasks.exchange import payload
from tasks.exchange.refusal import RefusalError
from tasks.exchange.template import Form, template_of
from tests.tasks.exchange.traffic import data_of, file_of, header_of

TENSORS: Weights = {"a": torch.tensor([1.0, 2.0]), "n": torch.tensor([[3]])}
TEMPLATE = template_of(TENSORS, {"spare": torch.zeros(64)})  # leaves room for wrong headers
BODY = to_bytes(TENSORS)  # n: 8 bytes from 0, a: 8 bytes from 8
Header = dict[str, Any]


def why(body: bytes) -> str:
    with pytest.raises(RefusalError) as refused:
        payload.read(body, TEMPLATE)
    assert refused.value.check in ("size", "tensors")
    return refused.value.why


def test_the_template_is_the_models() -> None:
    assert TEMPLATE.required == {"a": Form("F32", (2,), 8), "n": Form("I64", (1, 1), 8)}
    assert TEMPLATE.optional == {"spare": Form("F32", (64,), 256)}


def test_the_longest_payload_is_hardly_longer_than_an_honest_one() -> None:
    assert len(BODY) <= template_of(TENSORS).most < len(BODY) + 80


def test_what_is_written_is_read() -> None:
    found = payload.read(BODY, TEMPLATE)
    assert {k: t.tolist() for k, t in found.items()} == {"a": [1.0, 2.0], "n": [[3]]}


def test_tensors_are_in_memory_of_their_own() -> None:
    body = bytearray(BODY)
    found = payload.read(bytes(body), TEMPLATE)
    body[-8:] = bytes(8)
    found["a"] += 1
    assert found["a"].tolist() == [2.0, 3.0]
    assert payload.read(BODY, TEMPLATE)["a"].tolist() == [1.0, 2.0]


DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
DTYPES += [torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8]


@given(
    st.dictionaries(
        st.text(max_size=5),
        st.tuples(st.sampled_from(DTYPES), st.lists(st.integers(0, 3), max_size=3)),
        max_size=5,
    )
)
def test_any_model_travels(forms: dict[str, tuple[torch.dtype, list[int]]]) -> None:
    """Scalars, empty tensors, names in any script, every dtype."""
    tensors = {name: torch.ones(shape, dtype=dtype) for name, (dtype, shape) in forms.items()}
    tensors.pop("__metadata__", None)
    found = payload.read(to_bytes(tensors), template_of(tensors))
    assert found.keys() == tensors.keys()
    for name, tensor in found.items():
        assert tensor.dtype == tensors[name].dtype
        assert torch.equal(tensor, tensors[name])


def test_optional_tensors_are_all_there_or_none() -> None:
    both = template_of({"a": TENSORS["a"]}, {"x/v": torch.ones(1), "x/w": torch.ones(1)})
    extra = {"x/v": torch.ones(1), "x/w": torch.ones(1)}
    assert payload.read(to_bytes({"a": TENSORS["a"]}), both).keys() == {"a"}
    assert payload.read(to_bytes({"a": TENSORS["a"], **extra}), both).keys() == {"a", "x/v", "x/w"}
    with pytest.raises(RefusalError, match="some of the optional"):
        payload.read(to_bytes({"a": TENSORS["a"], "x/v": extra["x/v"]}), both)
    with pytest.raises(RefusalError, match="'a' is missing"):
        payload.read(to_bytes(extra), both)


def test_a_dtype_that_is_not_exchanged_is_named() -> None:
    with pytest.raises(ValueError, match=r"'z': torch.complex64"):
        template_of({"z": torch.zeros(1, dtype=torch.complex64)})


def test_more_bytes_than_right_are_refused_unread() -> None:
    assert why(BODY + bytes(TEMPLATE.most)).startswith(f"payload of {len(BODY) + TEMPLATE.most}")


@pytest.mark.parametrize("length", [0, 1, 7])
def test_a_payload_without_a_header_is_refused(length: int) -> None:
    assert why(BODY[:length]) == f"a payload of {length} bytes has no header"


@pytest.mark.parametrize(
    "length", [2**63, 2**64 - 1, 10**6, len(BODY) - 7, TEMPLATE.header_most + 1]
)
def test_a_header_longer_than_right_is_refused(length: int) -> None:
    found = why(file_of(header_of(BODY), data_of(BODY), length))
    assert found.startswith(f"header of {length} bytes, at most")


def test_a_header_is_padded_so_far_and_no_further() -> None:
    text = json.dumps(header_of(BODY)).encode()
    most = TEMPLATE.header_most
    assert payload.read(file_of(text.ljust(most), data_of(BODY)), TEMPLATE).keys() == {"a", "n"}
    longer = why(file_of(text.ljust(most + 1), data_of(BODY)))
    assert longer == f"header of {most + 1} bytes, at most {most} are right"


def entry(**fields: Any) -> Callable[[Header], Header]:
    """The header with other fields of `a`."""
    return lambda header: {**header, "a": {**header["a"], **fields}}


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda h: {**h, "b": h["a"]}, "tensor 'b' is not expected (1 in all)"),
        (lambda h: {**h, "__metadata__": {}}, "tensor '__metadata__' is not expected (1 in all)"),
        (lambda h: {"a": h["a"]}, "tensor 'n' is missing (1 in all)"),
        (lambda h: {"../a": h["a"], "n": h["n"]}, "tensor 'a' is missing (1 in all)"),
        (lambda h: {**h, "a": []}, "tensor 'a' has not dtype, shape and data_offsets alone"),
        (entry(more=1), "tensor 'a' has not dtype, shape and data_offsets alone"),
        (entry(dtype="F64"), "tensor 'a' is 'F64', not F32"),
        (entry(dtype="I32"), "tensor 'a' is 'I32', not F32"),
        (entry(dtype=["F32"]), "tensor 'a' is a value of type list, not F32"),
        (entry(shape=[1]), "tensor 'a' has not the shape [2]"),
        (entry(shape=[2, 1]), "tensor 'a' has not the shape [2]"),
        (entry(shape=[-2]), "tensor 'a' has not the shape [2]"),
        (entry(shape=[2**62]), "tensor 'a' has not the shape [2]"),
        (entry(shape=[2.0]), "tensor 'a': shape and data_offsets are integers"),
        (entry(shape="2"), "tensor 'a': shape and data_offsets are integers"),
        (entry(shape=2), "tensor 'a': shape and data_offsets are integers"),
        (entry(shape={}), "tensor 'a': shape and data_offsets are integers"),
        (entry(data_offsets=[8, 12]), "tensor 'a' has not the 8 bytes of its shape"),
        (entry(data_offsets=[8]), "tensor 'a' has not the 8 bytes of its shape"),
        (entry(data_offsets=[8, 16, 16]), "tensor 'a' has not the 8 bytes of its shape"),
        (entry(data_offsets=[False, 8]), "tensor 'a': shape and data_offsets are integers"),
        (entry(data_offsets=[0, 8]), "a tensor begins at byte 0, not 8"),
        (entry(data_offsets=[4, 12]), "a tensor begins at byte 4, not 8"),
        (entry(data_offsets=[9, 17]), "a tensor begins at byte 9, not 8"),
        (entry(data_offsets=[-8, 0]), "a tensor begins at byte -8, not 0"),
    ],
)
def test_a_header_unlike_the_template_is_refused(
    change: Callable[[Header], Header], found: str
) -> None:
    assert why(file_of(change(header_of(BODY)), data_of(BODY))) == found


def test_true_is_not_one() -> None:
    """Of a tensor of shape [1, 1], for which Python would take [true, true]."""
    header = header_of(BODY)
    header["n"]["shape"] = [True, True]
    assert why(file_of(header, data_of(BODY))) == "tensor 'n': shape and data_offsets are integers"


@pytest.mark.parametrize("data", [b"", bytes(15), bytes(17), bytes(24)])
def test_tensors_cover_the_payload(data: bytes) -> None:
    found = why(file_of(header_of(BODY), data))
    assert found == f"the tensors are 16 bytes, the payload has {len(data)}"


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"[]",
        b"null",
        b"{",
        b"\xff",
        b'"a"',
        b'{"a":1,"a":1}',
        b"9" * 150,
        '{"a":1}'.encode("utf-16"),
        b'\xef\xbb\xbf{"a":1}',
    ],
)
def test_a_header_that_is_no_object_is_refused(header: bytes) -> None:
    assert "header is" in why(file_of(header, data_of(BODY)))


def test_a_key_twice_is_refused() -> None:
    """The same entry twice is no other value, so only the text gives it away."""
    text = json.dumps(header_of(BODY), separators=(",", ":"))
    doubled = text.replace('"shape":[2]', '"shape":[2],"shape":[2]').encode()
    assert why(file_of(doubled, data_of(BODY))) == "the header is no JSON (ValueError)"


def test_what_only_the_library_refuses_is_refused() -> None:
    """Python reads -0 as 0; safetensors does not."""
    text = json.dumps(header_of(BODY), separators=(",", ":")).replace("[0,8]", "[-0,8]")
    assert why(file_of(text.encode(), data_of(BODY))).startswith("no safetensors: ")


@pytest.mark.parametrize("depth", [300, 600, 900, 4000])
@pytest.mark.parametrize("field", ["dtype", "shape", "data_offsets"])
def test_deep_nesting_is_refused(field: str, depth: int) -> None:
    """A list may be shallow enough to parse and too deep to print."""
    spare = {f"{i:04}": torch.zeros(1) for i in range(3000)}  # room for as many brackets
    template = template_of(TENSORS, spare)
    deep = "[" * depth + "]" * depth
    header = header_of(BODY)
    header["a"][field] = "DEEP"
    text = json.dumps(header, separators=(",", ":")).replace('"DEEP"', deep).encode()
    with pytest.raises(RefusalError, match=r"tensor 'a'|no JSON \(RecursionError\)"):
        payload.read(file_of(text, data_of(BODY)), template)


@pytest.mark.parametrize("mark", ["{", "[", ","])
def test_a_header_holds_no_more_values_than_are_right(mark: str) -> None:
    most = TEMPLATE.longest_header.count(mark)
    text = json.dumps(header_of(BODY), separators=(",", ":"))
    for more, expected in ((0, "no JSON"), (1, f"more {mark!r} than it needs")):
        marks = mark * (most - text.count(mark) + more)
        assert expected in why(file_of((text + marks).encode(), data_of(BODY)))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 99) | st.floats() | st.sampled_from(["F32", "a"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["dtype", "shape", "data_offsets"]), inner)
    ),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(["a", "n"]), JSON), st.binary(max_size=24))
def test_no_made_up_header_is_read(header: Header, data: bytes) -> None:
    assert header != header_of(BODY)
    assert why(file_of(header, data))


def test_no_claim_allocates() -> None:
    """A header of 2^50 bytes or tensors of 2^62 numbers: nothing near is taken."""
    huge = header_of(BODY)
    huge["a"] |= {"shape": [2**62], "data_offsets": [8, 2**63]}
    tracemalloc.start()
    why(file_of(huge, data_of(BODY)))
    why(file_of(header_of(BODY), data_of(BODY), 2**50))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100_000
