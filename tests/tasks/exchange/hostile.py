"""Messages that must be refused: what strangers, other hospitals and an insider could send.

Each attack begins with an honest message of random numbers, which would be admitted, spoils one
thing, and names the checks that may stop it. An insider holds the hospital's own key.
"""

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from federated.types import Update
from tasks.exchange import canonical
from tasks.exchange.messages import Message, of_update
from tasks.exchange.refusal import Check
from tasks.exchange.template import Template, template_of
from tests.tasks.exchange.traffic import (
    BASE,
    COORDINATOR,
    EXPECTED,
    NORTH,
    OTHER_NONCE,
    RUN,
    SOUTH,
    UPDATE,
    changed,
    data_of,
    file_of,
    header_of,
    key,
    signed,
    values,
    with_payload,
    with_values,
)

Draw = random.Random
TRICKS = ["../north", "/etc/passwd", "..", ".", "a/../north", "north\\..", "north\0", "~root", ""]
TRICKS += ["north\n", " north", "NORTH", "n\u043erth", "\u202ehtron", "%2e%2e", "\ud800", "a" * 200]
ODD = [-1, 2**53, 10**30, True, None, 1.5, "3", [], {}, [3], {"round": 3}]
_SPARE = template_of({f"spare{i}": torch.zeros(1) for i in range(24)})
ROOMY = replace(  # optional tensors leave room for wrong headers below the cap on size
    EXPECTED, template=Template(EXPECTED.template.required, _SPARE.required)
)


@dataclass(frozen=True)
class Attack:
    """A message, and the checks of which one must refuse it."""

    message: Message
    checks: tuple[Check, ...]


def honest_update(draw: Draw, length: float = 12.0) -> Update:
    """Random numbers; length: the delta's norm."""
    numbers = torch.tensor([draw.gauss(0, 1) for _ in range(10)])
    numbers[:5] *= length / float(numbers[:5].norm())
    return replace(
        UPDATE,
        delta={"w": numbers[:4].reshape(2, 2), "b": numbers[4:5]},
        tensors={"w": numbers[5:9].reshape(2, 2), "b": numbers[9:]},
        examples=draw.randint(1, 10),
        loss=draw.random(),
    )


def message_of(draw: Draw, update: Update) -> Message:
    """With a nonce that was never used."""
    return of_update(update, RUN, BASE, f"{draw.getrandbits(128):032x}", NORTH)


def honest(draw: Draw) -> Message:
    """A message that is admitted."""
    return message_of(draw, honest_update(draw))


def flipped(draw: Draw, data: bytes) -> bytes:
    """With one bit the other way."""
    at = draw.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << draw.randrange(8)]) + data[at + 1 :]


def _cut(draw: Draw, data: bytes) -> bytes:
    return data[: draw.randrange(len(data))]


def _longer(draw: Draw, data: bytes) -> bytes:
    more = draw.randbytes(draw.choice([1, 8, 200]))
    return draw.choice([data + more, more + data])


def envelope_bytes(draw: Draw) -> Attack:
    """On the way: bits flipped, cut short, prolonged."""
    message = honest(draw)
    spoil = draw.choice([flipped, _cut, _longer])
    return Attack(replace(message, sealed=spoil(draw, message.sealed)), ("signature",))


def payload_bytes(draw: Draw) -> Attack:
    """On the way, likewise."""
    message = honest(draw)
    spoil = draw.choice([flipped, _cut, _longer])
    return Attack(replace(message, payload=spoil(draw, message.payload)), ("payload",))


def too_large(draw: Draw) -> Attack:
    """Signed even, but over a cap."""
    message, much = honest(draw), bytes(draw.randint(16_384, 20_000))
    if draw.random() < 0.5:
        return Attack(with_payload(message.payload + much, message), ("size",))
    return Attack(replace(message, sealed=signed(message.sealed[64:] + much)), ("size",))


def noise(draw: Draw) -> Attack:
    message = Message(draw.randbytes(draw.randrange(300)), draw.randbytes(draw.randrange(300)))
    return Attack(message, ("signature",))


def another_signer(draw: Draw) -> Attack:
    """Another hospital, the coordinator, a stranger; or the right key for another use."""
    message = honest(draw)
    body = message.sealed[64:]
    signer = draw.choice([SOUTH, COORDINATOR, key(draw.randint(4, 255))])
    other = NORTH.sign(
        draw.choice([b"", b"wardround audit v1\n", b"wardround envelope v2\n"]) + body
    )
    sealed = draw.choice([signed(body, signer), other + body, bytes(64) + body])
    return Attack(replace(message, sealed=sealed), ("signature",))


def another_hospital(draw: Draw) -> Attack:
    """An insider who speaks for another; or that one's true message by this one's channel."""
    name = draw.choice(["south", "north-2", "n", "northe"])
    if draw.random() < 0.5:
        return Attack(changed(SOUTH, honest(draw), hospital=name), ("signature",))
    return Attack(changed(NORTH, honest(draw), hospital=name), ("hospital",))


def another_kind(draw: Draw) -> Attack:
    return Attack(changed(message=honest(draw), kind="order"), ("kind",))


def another_round(draw: Draw) -> Attack:
    number = draw.choice([1, 2, 4, draw.randint(5, 2**31 - 1)])
    return Attack(changed(message=honest(draw), round=number), ("round",))


def another_run(draw: Draw) -> Attack:
    name = draw.choice(["run-6", "run-77", "run_7", "run-", f"{draw.getrandbits(48):012x}"])
    return Attack(changed(message=honest(draw), run=name), ("run",))


def another_base(draw: Draw) -> Attack:
    return Attack(changed(message=honest(draw), base=_flipped_digit(draw, BASE)), ("base",))


def _flipped_digit(draw: Draw, digits: str) -> str:
    at = draw.randrange(len(digits))
    return digits[:at] + f"{int(digits[at], 16) ^ 1 << draw.randrange(4):x}" + digits[at + 1 :]


def replay(draw: Draw) -> Attack:
    return Attack(changed(message=honest(draw), nonce=OTHER_NONCE), ("nonce",))


def mixed(draw: Draw) -> Attack:
    """The envelope of one true message, the payload of another."""
    return Attack(replace(honest(draw), payload=honest(draw).payload), ("payload",))


def not_finite(draw: Draw) -> Attack:
    """One number of one tensor, the loss or a scalar."""
    update, value = honest_update(draw), draw.choice([float("nan"), float("inf"), -float("inf")])
    where = draw.choice(["delta", "tensors", "loss", "scalars"])
    if where == "loss":
        update = replace(update, loss=value)
    elif where == "scalars":
        update = replace(update, scalars={"normaliser": value})
    else:
        tensor = draw.choice(list(getattr(update, where).values()))
        tensor.view(-1)[draw.randrange(tensor.numel())] = value
    return Attack(message_of(draw, update), ("finite",))


def too_long(draw: Draw) -> Attack:
    """Over the bound of 13, by little or by much."""
    length = 13 + 10 ** draw.uniform(-3, 30)
    return Attack(message_of(draw, honest_update(draw, length)), ("norm",))


def too_many_examples(draw: Draw) -> Attack:
    fields = draw.choice(
        [{"examples": draw.choice([11, 12, 2**31, 2**53 - 1, 0])}, {"steps": 0}],
    )
    return Attack(changed(message=honest(draw), **fields), ("examples",))


def odd_number(draw: Draw) -> Attack:
    field = draw.choice(["round", "examples", "steps", "sent", "schema"])
    odd = draw.choice(ODD)
    return Attack(with_values(honest(draw), **{field: odd}), ("form",))


def path_trick(draw: Draw) -> Attack:
    """In a name of the envelope, or of a tensor."""
    trick = draw.choice(TRICKS)
    if draw.random() < 0.5:
        field = draw.choice(["hospital", "run", "kind", "base", "payload", "nonce"])
        return Attack(with_values(honest(draw), **{field: trick}), ("form",))
    prefix = draw.choice(["", "delta/", "tensors/", "/delta/", "delta/w/"])

    def renamed(header: dict[str, Any]) -> Mapping[str, Any]:
        name = draw.choice(list(header))
        return {(prefix + trick if k == name else k): v for k, v in header.items()}

    return _reheaded(draw, renamed)


def _reheaded(draw: Draw, change: Callable[[dict[str, Any]], Mapping[str, Any]]) -> Attack:
    """Another header, with a digest and signature that agree."""
    message = honest(draw)
    header = change(header_of(message.payload))
    body = file_of(header, data_of(message.payload))
    return Attack(with_payload(body, message), ("tensors",))


def wrong_form(draw: Draw) -> Attack:
    """Another dtype, shape, place, or what is none."""
    odd: dict[str, list[Any]] = {
        "dtype": ["F64", "I32", "BF16", "f32", "", None, 7, ["F32"]],
        "shape": [[], [1], [4], [2, 3], [2, 2, 1], [2.0, 2], [-2, -2], [2**62, 4], "2", None],
        "data_offsets": [[], [0], [0, 2**63], [-4, 0], [4, 0], [0, 3], [0, 4, 4], [1e9, 4], 0],
    }
    field = draw.choice(list(odd))

    def change(header: dict[str, Any]) -> Mapping[str, Any]:
        entry = header[draw.choice(list(header))]
        right = entry[field]
        entry[field] = draw.choice([value for value in odd[field] if value != right])
        return header

    return _reheaded(draw, change)


def moved(draw: Draw) -> Attack:
    """Overlapping tensors, gaps between them, bytes that belong to none."""

    def change(header: dict[str, Any]) -> Mapping[str, Any]:
        entry, by = header[draw.choice(list(header))], draw.choice([-16, -4, -1, 1, 4, 16, 2**40])
        entry["data_offsets"] = [end + by for end in entry["data_offsets"]]
        return header

    return _reheaded(draw, change)


def wrong_tensors(draw: Draw) -> Attack:
    """One too few, one too many, metadata."""

    def change(header: dict[str, Any]) -> Mapping[str, Any]:
        name = draw.choice(list(header))
        if draw.random() < 0.4:
            return {k: v for k, v in header.items() if k != name}
        more = draw.choice(["__metadata__", "spare0", "delta/x", "w", "delta/w "])
        return {**header, more: draw.choice([{}, {"format": "pt"}, header[name]])}

    return _reheaded(draw, change)


def wrong_length(draw: Draw) -> Attack:
    """A header that claims to be huge, is padded, or ends early."""
    message = honest(draw)
    header, data = header_of(message.payload), data_of(message.payload)
    text = json.dumps(header, separators=(",", ":")).encode()
    length = draw.choice([0, 1, len(text) - 1, len(text) + 1, 2**20, 2**63, draw.getrandbits(64)])
    body = draw.choice([file_of(text, data, length), text, data, text[:7]])
    return Attack(with_payload(body, message), ("tensors",))


def odd_json(draw: Draw) -> Attack:
    """Keys twice, values nested deeply, spaces, other order: in the envelope or the header."""
    message = honest(draw)
    depth = draw.choice([1, 100, 450, 600, 850])
    deep = "[" * depth + "]" * depth
    if draw.random() < 0.5:
        text = message.sealed[64:].decode()
        field = draw.choice(list(values(message)))
        nested = canonical.to_bytes(values(message) | {field: "DEEP"}).decode()
        spaced = text.replace(",", ", ", 1)
        doubled = text.replace(f'"{field}":', f'"{field}":0,"{field}":', 1)
        ordered = json.dumps(dict(reversed(values(message).items())), separators=(",", ":"))
        body = draw.choice([nested.replace('"DEEP"', deep), spaced, doubled, ordered, deep])
        return Attack(replace(message, sealed=signed(body.encode())), ("form",))
    header = header_of(message.payload)
    text = json.dumps(header, separators=(",", ":"))
    name, field = draw.choice(list(header)), draw.choice(["dtype", "shape", "data_offsets"])
    doubled = text.replace(f'"{name}":', f'"{name}":{json.dumps(header[name])},"{name}":')
    header[name][field] = "DEEP"
    nested = json.dumps(header, separators=(",", ":")).replace('"DEEP"', deep)
    body = draw.choice([doubled, nested, deep])
    return Attack(
        with_payload(file_of(body.encode(), data_of(message.payload)), message), ("tensors",)
    )


def wrong_fields(draw: Draw) -> Attack:
    """A field too few or too many, a schema version not known."""
    message = honest(draw)
    fields = values(message)
    name = draw.choice(list(fields))
    spoilt = draw.choice(
        [
            {k: v for k, v in fields.items() if k != name},
            fields | {f"{name}_": fields[name]},
            fields | {"schema": draw.randint(2, 10**9)},
        ]
    )
    return Attack(replace(message, sealed=signed(canonical.to_bytes(spoilt))), ("form",))


def wrong_numbers(draw: Draw) -> Attack:
    """The loss and scalars: missing, more, or in a form of which a number has many."""
    message = honest(draw)
    numbers = dict(values(message)["numbers"])
    name = draw.choice(list(numbers))
    if draw.random() < 0.5:
        text = draw.choice(["0.5", "0x1p-1", "-nan", "Infinity", "0x1p+9999", "", "0x", 0.5, None])
        return Attack(with_values(message, numbers={**numbers, name: text}), ("form",))
    spoilt = draw.choice([{}, {**numbers, "rate": "0x0.0p+0"}, {name: numbers[name]}])
    return Attack(with_values(message, numbers=spoilt), ("tensors",))


def byte_of_the_body(draw: Draw) -> Attack:
    """One byte of a field that is known beforehand, signed by an insider."""
    message = honest(draw)
    body, fields = message.sealed[64:], values(message)
    name = draw.choice(["base", "hospital", "kind", "payload", "round", "run", "schema"])
    part = f'"{name}":{json.dumps(fields[name])}'.encode()
    spoilt = body.replace(part, flipped(draw, part), 1)
    checks: tuple[Check, ...] = ("form", "kind", "hospital", "run", "round", "base", "payload")
    return Attack(replace(message, sealed=signed(spoilt)), checks)


def byte_of_the_header(draw: Draw) -> Attack:
    """One byte of the payload's header or its length, with a digest and signature that agree."""
    message = honest(draw)
    data = data_of(message.payload)
    head = message.payload[: len(message.payload) - len(data)].rstrip(b" ")
    rest = message.payload[len(head) :]
    return Attack(with_payload(flipped(draw, head) + rest, message), ("tensors",))


ATTACKS: Mapping[str, Callable[[Draw], Attack]] = {
    attack.__name__: attack
    for attack in (
        envelope_bytes,
        payload_bytes,
        too_large,
        noise,
        another_signer,
        another_hospital,
        another_kind,
        another_round,
        another_run,
        another_base,
        replay,
        mixed,
        not_finite,
        too_long,
        too_many_examples,
        odd_number,
        path_trick,
        wrong_form,
        moved,
        wrong_tensors,
        wrong_length,
        odd_json,
        wrong_fields,
        wrong_numbers,
        byte_of_the_body,
        byte_of_the_header,
    )
}
