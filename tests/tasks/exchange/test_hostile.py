"""Ten thousand hostile messages: none is admitted, none raises, none takes memory."""

import random
import tracemalloc
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from federated.types import Order, Update
from federated.weights import digest
from tasks.exchange.admission import Admitted, Expected, Refused, accept_order, admit
from tasks.exchange.envelope import MOST, seal, unseal
from tasks.exchange.keys import PrivateKey
from tasks.exchange.messages import Message, Orders, of_order, update_template
from tasks.exchange.refusal import Check
from tests.tasks.exchange.hostile import ATTACKS, ROOMY, Draw, flipped, honest
from tests.tasks.exchange.traffic import (
    AWAITED,
    BASE,
    COORDINATOR,
    EXPECTED,
    ORDER,
    RUN,
    SOUTH,
    UPDATE,
    WEIGHTS,
    data_of,
    file_of,
    header_of,
    key,
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


def spoilt_order(draw: Draw) -> tuple[Orders, Check]:
    """A round's order with one thing wrong, and the check that must stop it."""
    nonces = {"north": f"{draw.getrandbits(128):032x}"}
    order = replace(ORDER, round=draw.randint(3, 99), rate=draw.random())
    right = of_order(order, RUN, nonces, COORDINATOR)
    sealed, stranger = right.sealed["north"], draw.choice([SOUTH, key(draw.randint(4, 255))])
    head = flipped(draw, right.payload[:120]) + right.payload[120:]
    weights = {k: t.clone() for k, t in WEIGHTS.items()}
    weights["w"].view(-1)[draw.randrange(4)] = draw.choice([float("nan"), float("inf")])

    def by(order: Order, run: str = RUN, private: PrivateKey = COORDINATOR) -> Orders:
        return of_order(order, run, nonces, private)

    def said(body: bytes = right.payload, **fields: str) -> Orders:
        envelope = replace(unseal(sealed, COORDINATOR.public), **fields)
        return Orders(body, {"north": seal(envelope, COORDINATOR)}, BASE)

    spoilt: list[tuple[Check, Callable[[], Orders]]] = [
        ("signature", lambda: replace(right, sealed={"north": flipped(draw, sealed)})),
        ("signature", lambda: by(order, private=stranger)),
        ("kind", lambda: said(kind="update")),
        ("hospital", lambda: said(hospital="south")),
        ("run", lambda: by(order, "run-6")),
        ("round", lambda: by(replace(order, round=draw.randint(1, 2)))),
        ("payload", lambda: replace(right, payload=flipped(draw, right.payload))),
        ("payload", lambda: replace(right, payload=by(replace(order, extra={})).payload)),
        ("tensors", lambda: said(head, payload=digest(head))),
        ("base", lambda: said(base=digest(head))),
        ("finite", lambda: by(replace(order, weights=weights))),
    ]
    check, make = draw.choice(spoilt)
    return make(), check


def test_no_hostile_order_is_accepted_and_none_raises() -> None:
    draw, checks = random.Random(6), set()
    for number in range(COUNT // 10):
        orders, check = spoilt_order(draw)
        found = accept_order(orders.sealed["north"], orders.payload, AWAITED)
        assert isinstance(found, Refused), f"number {number} was accepted"
        assert found.check == check, f"number {number}: {found}"
        checks.add(check)
    assert checks == set(get_args(Check)) - {"size", "form", "nonce", "norm", "examples"}


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
    expected = replace(EXPECTED, template=update_template(update.delta, {}, {}))
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
