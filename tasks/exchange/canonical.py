"""JSON in one form only, so that equal values have equal bytes, and equal signatures.

Keys in order, no white space, finite numbers: what RFC 8785 asks for, for the values that Wardround
signs (text, integers, booleans, lists, and objects of these). Other than there, what is not ASCII
is escaped.
"""

import json
from collections.abc import Mapping
from typing import Any

from federated.errors import WardroundError


class FormError(WardroundError):
    """Bytes that are no canonical JSON object."""


def to_bytes(values: Mapping[str, Any]) -> bytes:
    """The one form of an object. Raises ValueError for a float that is not finite."""
    text = json.dumps(
        values, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
    )
    return text.encode("ascii")


def from_bytes(data: bytes) -> dict[str, Any]:
    """The object. Raises FormError unless `data` is exactly what `to_bytes` gives for it."""
    try:
        values = json.loads(data)
        whole = isinstance(values, dict) and to_bytes(values) == data
    except (ValueError, RecursionError) as error:
        raise FormError(f"no canonical JSON ({type(error).__name__})") from error
    if not whole:
        raise FormError("no JSON object in canonical form (keys in order, no spaces, no doubles)")
    found: dict[str, Any] = values
    return found
