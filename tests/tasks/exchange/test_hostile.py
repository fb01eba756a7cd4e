"""Ten thousand hostile messages: none is admitted, none raises, none takes memory."""

import random
import tracemalloc
from collections import Counter
from dataclasses import replace
from typing import get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from federated.types import Update
from federated.weights import digest
from tasks.exchange.admission import Admitted, Expected, Refused, accept_order, admit
from tasks.exchange.envelope import MOST, seal, unseal
from tasks.exchange.messages import Message, Orders, of_order, update_template
from tasks.exchange.refusal import Check
from tests.tasks.exchange.hostile import ATTACKS, ROOMY, Draw, flipped, honest
from tests.tasks.exchange.traffic import (
    AWAITED,
    BASE,
    COORDINATOR,
    EXPECTED,
    NONCE,
    ORDER,
    RUN,
    SOUTH,
    UPDATE,
    WEIGHTS,
    data_of,
    file_of,
    header_of,
    key,
    ordered,
    sent,
    signed,
    with_payload,
)

COUNT = 10_000


def test_what_attacks_begin_with_is_admitted() -> None:
    draw = random.Random(4)
    for _ in range(300):
        message = honest(draw)
        assert isinstance(admit(message.sealed, message.payload, ROOMY), Admitted)


def test_no_hostile_message_is_admitted_and_none_raises() -> None:
    draw, names = random.Random(5), list(ATTACKS)
    checks: Counter[Check] = Counter()
    different = set()
    for number in range(COUNT):
        name = names[number % len(names)]
        attack = ATTACKS[name](draw)
        found = admit(attack.message.sealed, attack.message.payload, ROOMY)
        assert isinstance(found, Refused), f"{name}, number {number}, was admitted"
        assert found.check in attack.checks, f"{name}, number {number}: {found}"
        assert len(found.reason) < 400
        assert found.reason.isprintable()
        checks[found.check] += 1
        different.add(digest(attack.message.sealed + attack.message.payload))
    assert set(checks) == set(get_args(Check))
    assert len(different) > 0.99 * COUNT


def spoilt_order(draw: Draw) -> tuple[Orders, tuple[Check, ...]]:
    """A round's order with one thing wrong, and the check that may stop it."""
    stranger = draw.choice([SOUTH, key(draw.randint(4, 255))])
    rate, nonces = draw.random(), {"north": f"{draw.getrandbits(128):032x}"}
    order = replace(ORDER, round=draw.randint(3, 99), rate=rate)
    right = of_order(order, RUN, nonces, COORDINATOR)
    sealed = right.sealed["north"]
    weights = {k: t.clone() for k, t in WEIGHTS.items()}
    weights["w"].view(-1)[draw.randrange(4)] = draw.choice([float("nan"), float("inf")])
    ill, past = replace(order, weights=weights), replace(order, round=draw.randint(1, 2))
    other = Message(sealed, ordered(replace(order, extra={})).payload)
    head = flipped(draw, right.payload[:120]) + right.payload[120:]
    said = replace(unseal(sealed, COORDINATOR.public), payload=digest(head))
    moved = replace(unseal(sealed, COORDINATOR.public), base=digest(head))
    return draw.choice(
        [
            (replace(right, sealed={"north": flipped(draw, sealed)}), ("signature",)),
            (replace(right, payload=flipped(draw, right.payload)), ("payload",)),
            (replace(right, payload=other.payload), ("payload",)),
            (of_order(order, RUN, nonces, stranger), ("signature",)),
            (of_order(order, "run-6", nonces, COORDINATOR), ("run",)),
            (of_order(ill, RUN, nonces, COORDINATOR), ("finite",)),
            (of_order(past, RUN, nonces, COORDINATOR), ("round",)),
            (of_order(order, RUN, {"south": NONCE}, COORDINATOR), ("hospital",)),
            (Orders(head, {"north": seal(said, COORDINATOR)}, BASE), ("tensors",)),
            (replace(right, sealed={"north": seal(moved, COORDINATOR)}), ("base",)),
        ]
    )


def test_no_hostile_order_is_accepted_and_none_raises() -> None:
    draw = random.Random(6)
    checks: Counter[Check] = Counter()
    for number in range(COUNT // 10):
        orders, allowed = spoilt_order(draw)
        (sealed,) = orders.sealed.values()
        found = accept_order(sealed, orders.payload, AWAITED)
        assert isinstance(found, Refused), f"number {number} was accepted"
        assert found.check in allowed, f"number {number}: {found}"
        checks[found.check] += 1
    assert set(checks) == {
        *("signature", "hospital", "run", "round", "base", "payload", "tensors", "finite")
    }


@given(st.binary(max_size=200), st.binary(max_size=200), st.booleans())
def test_no_bytes_at_all_are_admitted(sealed: bytes, body: bytes, insider: bool) -> None:
    message = with_payload(body) if insider else Message(sealed, body)
    assert isinstance(admit(message.sealed, message.payload, ROOMY), Refused)
    assert isinstance(accept_order(sealed, body, AWAITED), Refused)
    assert isinstance(admit(signed(sealed), body, ROOMY), Refused)


LARGE = replace(UPDATE, delta={"w": torch.zeros(250_000)}, tensors={})  # 1 MB
MANY = replace(LARGE, delta={f"{i:05}": torch.zeros(1) for i in range(10_000)})  # a long header


def peak_of(message: Message, expected: Expected) -> int:
    """Bytes that Python took at most."""
    tracemalloc.start()
    admit(message.sealed, message.payload, expected)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def bombs(room: int) -> list[bytes]:
    """Headers of so many bytes that would take the most memory to parse."""
    return [
        b'{"a":[' + b"{}," * (room // 3 - 10) + b"{}]}",
        b'{"a":[' + b"[]," * (room // 3 - 10) + b"[]]}",
        b'{"a":[' + b"9," * (room // 2 - 10) + b"9]}",
        b"[" * (room - 8),
        b'{"a":' * (room // 5 - 8),
        b'{"' + "\U0001f3e5".encode() + b"a" * (room - 12) + b'":{}}',
    ]


@pytest.mark.parametrize("update", [LARGE, MANY], ids=["large", "many"])
def test_a_hostile_message_takes_no_more_memory_than_an_honest_one(update: Update) -> None:
    expected = replace(EXPECTED, template=update_template(update.delta, {}))
    right, room = sent(update), expected.template.header_most
    header, data = header_of(right.payload), data_of(right.payload)
    payloads = [file_of(bomb, data) for bomb in bombs(room)]
    payloads += [file_of(header, data, 2**60), file_of(header, data + bytes(room)), bytes(10**7)]
    honest_peak = peak_of(right, expected)
    for number, body in enumerate(payloads):
        peak = peak_of(with_payload(body), expected)
        assert peak < 1.2 * honest_peak + MOST, f"payload {number}"


def test_a_hostile_envelope_takes_little_memory() -> None:
    for number, bomb in enumerate(bombs(MOST - 64)):
        peak = peak_of(Message(signed(bomb), b""), EXPECTED)
        assert peak < 2**20, f"envelope {number}"
    assert peak_of(Message(bytes(10**7), b""), EXPECTED) < MOST
