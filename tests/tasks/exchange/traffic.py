"""An honest hospital, its coordinator and one more hospital, and what a dishonest one can build."""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import torch
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from federated.types import Order, Update, Weights
from federated.weights import digest, to_bytes
from tasks.exchange import canonical
from tasks.exchange.admission import Awaited, Expected
from tasks.exchange.envelope import Envelope, seal, unseal
from tasks.exchange.keys import PrivateKey
from tasks.exchange.messages import (
    Message,
    Orders,
    of_order,
    of_update,
    order_template,
    update_template,
)


def key(number: int) -> PrivateKey:
    """The same one for the same number, 0 to 255."""
    return PrivateKey(Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32))


NORTH, SOUTH, COORDINATOR = key(1), key(2), key(3)
RUN, NONCE, OTHER_NONCE = "run-7", "0" * 31 + "1", "0" * 31 + "2"
WEIGHTS: Weights = {
    "count": torch.tensor(4),
    "w": torch.tensor([[1.0, 2.0], [3.0, 4.0]]),
    "b": torch.tensor([0.5]),
}
EXTRA: Weights = {"w": torch.ones(2, 2), "b": torch.ones(1)}
BASE = digest(to_bytes(WEIGHTS))
UPDATE = Update(
    hospital="north",
    round=3,
    delta={"w": torch.tensor([[3.0, 0.0], [0.0, 4.0]]), "b": torch.tensor([12.0])},  # norm 13
    examples=10,
    steps=5,
    loss=0.1,
    tensors={"w": torch.zeros(2, 2), "b": torch.ones(1)},
    scalars={"normaliser": 2.5},
    sent=48,
)
ORDER = Order(round=3, weights=WEIGHTS, extra=EXTRA, rate=0.1)
EXPECTED = Expected(
    run=RUN,
    round=3,
    hospital="north",
    base=BASE,
    key=NORTH.public,
    template=update_template(UPDATE.delta, UPDATE.tensors, UPDATE.buffers),
    max_examples=10,
    used=frozenset({OTHER_NONCE}),
    scalars=frozenset({"normaliser"}),
    norm_bound=13.0,
)
AWAITED = Awaited(
    run=RUN,
    hospital="north",
    after=2,
    key=COORDINATOR.public,
    template=order_template(WEIGHTS, EXTRA),
)


def sent(update: Update = UPDATE, private: PrivateKey = NORTH) -> Message:
    """The hospital's message of an update."""
    return of_update(update, RUN, BASE, NONCE, private)


def ordered(order: Order = ORDER, private: PrivateKey = COORDINATOR) -> Orders:
    """The coordinator's message to both hospitals."""
    return of_order(order, RUN, {"north": NONCE, "south": OTHER_NONCE}, private)


def envelope(message: Message | None = None) -> Envelope:
    """The envelope of the hospital's message."""
    return unseal((message or sent()).sealed, NORTH.public)


def changed(private: PrivateKey = NORTH, message: Message | None = None, **fields: Any) -> Message:
    """A message with other well-formed fields in its envelope, signed by an insider."""
    message = message or sent()
    return Message(seal(replace(envelope(message), **fields), private), message.payload)


def with_payload(body: bytes, message: Message | None = None) -> Message:
    """A message with another payload, whose digest an insider signed."""
    return replace(changed(message=message, payload=digest(body)), payload=body)


def values(message: Message | None = None) -> dict[str, Any]:
    """The envelope's JSON object."""
    return canonical.from_bytes((message or sent()).sealed[64:])


def signed(body: bytes, private: PrivateKey = NORTH) -> bytes:
    """Any bytes where the JSON belongs, signed as envelopes are."""
    return private.sign(b"wardround envelope v1\n" + body) + body


def with_values(message: Message | None = None, **fields: Any) -> Message:
    """A message with any JSON values in its envelope, signed by an insider."""
    message = message or sent()
    return Message(signed(canonical.to_bytes(values(message) | fields)), message.payload)


def header_of(body: bytes) -> dict[str, Any]:
    """A safetensors file's header."""
    length = int.from_bytes(body[:8], "little")
    found: dict[str, Any] = json.loads(body[8 : 8 + length])
    return found


def data_of(body: bytes) -> bytes:
    """A safetensors file without its header."""
    return body[8 + int.from_bytes(body[:8], "little") :]


def file_of(header: bytes | Mapping[str, Any], data: bytes, length: int | None = None) -> bytes:
    """A safetensors file of any header; length: what it claims to be, if not the truth."""
    text = header if isinstance(header, bytes) else json.dumps(header, separators=(",", ":"))
    raw = text if isinstance(text, bytes) else text.encode()
    claimed = len(raw) if length is None else length
    return claimed.to_bytes(8, "little") + raw + data


def fields_of(update: Update) -> dict[str, Any]:
    """An update's values with tensors as lists, to be compared."""
    plain = asdict(update)
    for name in ("delta", "tensors"):
        plain[name] = {k: t.tolist() for k, t in sorted(plain[name].items())}
    return plain
