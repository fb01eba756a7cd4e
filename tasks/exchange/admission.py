"""What a message must be before its tensors are used, at the coordinator and at a site.

The checks run in one order (`refusal.Check`), from the cheapest, and nothing is parsed before it is
known who signed it. Whatever arrives, the answer is a record: hostile bytes raise nothing.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass, field

import torch

from federated.types import Order, Update, Weights
from federated.weights import digest, floating, to_bytes
from tasks.exchange import payload
from tasks.exchange.envelope import ASKS, ORDER, UPDATE, Envelope, unseal
from tasks.exchange.keys import PublicKey
from tasks.exchange.messages import RATE, STATE, order_in, update_in, update_numbers
from tasks.exchange.refusal import Check, RefusalError, shown
from tasks.exchange.template import Template


@dataclass(frozen=True)
class Expected:
    """The update that the coordinator waits for.

    hospital: whose channel it comes by; key: that hospital's in the roster. base: SHA-256 of the
    global weights that it was sent. template: of delta and tensors; scalars: what else the
    aggregation needs. max_examples: the roster's. used: nonces of all updates admitted before in
    this run. norm_bound: of the Euclidean norm of what changed, running statistics among it, None
    for any; a bound times all rows should stay under 2^26, the range of the exact sum. weights:
    what the statistics changed from.
    """

    run: str
    round: int
    hospital: str
    base: str
    key: PublicKey
    template: Template
    max_examples: int
    used: Collection[str]
    scalars: frozenset[str] = frozenset()
    norm_bound: float | None = None
    weights: Weights = field(default_factory=dict)


@dataclass(frozen=True)
class Awaited:
    """The order that a hospital's site waits for.

    after: the last round that it will not do again; key: the coordinator's. template: of weights
    and extra.
    """

    run: str
    hospital: str
    after: int
    key: PublicKey
    template: Template


@dataclass(frozen=True)
class Admitted:
    """An update that may be aggregated. nonce: used from now on."""

    update: Update
    nonce: str


@dataclass(frozen=True)
class Accepted:
    """An order that may be followed. base: what the update must name as the weights it answers.

    kind: one of ASKS. state: the round whose own state of the hospital counts, 0 for none.
    """

    order: Order
    base: str
    nonce: str
    kind: str = ORDER
    state: int = 0


@dataclass(frozen=True)
class Refused:
    """round: that was waited for; None at a site that cannot know it. reason: one line."""

    hospital: str
    round: int | None
    check: Check
    reason: str


def glance(sealed: bytes, expected: Expected) -> Refused | None:
    """What is wrong with an envelope, before its payload is fetched: that of a repetition, or of
    another round, may be gone. Raises nothing, whatever the bytes."""
    try:
        _check_answers(unseal(sealed, expected.key), expected)
    except RefusalError as refusal:
        return Refused(expected.hospital, expected.round, refusal.check, refusal.why)
    return None


def admit(sealed: bytes, body: bytes, expected: Expected) -> Admitted | Refused:
    """A hospital's update. sealed: envelope; body: payload. Raises nothing, whatever the bytes."""
    try:
        found = _opened(sealed, body, expected.key, expected.template)
        _check_answers(found, expected)
        _check_is(found, "payload", digest(body))
        _check_new(found, expected.used)
        tensors = _tensors(found, body, expected.template, update_numbers(expected.scalars))
        _check_finite(found, tensors)
        update = update_in(found, tensors)
        _check_norm(update, expected)
        _check_counts(update, expected.max_examples)
    except RefusalError as refusal:
        return Refused(expected.hospital, expected.round, refusal.check, refusal.why)
    return Admitted(update, found.nonce)


def accept_order(sealed: bytes, body: bytes, awaited: Awaited) -> Accepted | Refused:
    """The coordinator's order, at the hospital. Raises nothing, whatever the bytes."""
    try:
        found = _opened(sealed, body, awaited.key, awaited.template)
        _check_asks(found)
        _check_is(found, "hospital", awaited.hospital)
        _check_is(found, "run", awaited.run)
        _check_later(found, awaited.after)
        _check_is(found, "payload", digest(body))
        tensors = _tensors(found, body, awaited.template, frozenset({RATE, STATE}))
        order = order_in(found, tensors)
        _check_is(found, "base", digest(to_bytes(order.weights)))
        _check_finite(found, tensors)
        state = _state(found)
    except RefusalError as refusal:
        return Refused(awaited.hospital, None, refusal.check, refusal.why)
    return Accepted(order, found.base, found.nonce, found.kind, state)


def _opened(sealed: bytes, body: bytes, key: PublicKey, template: Template) -> Envelope:
    payload.check_size(body, template)
    return unseal(sealed, key)


def _check_answers(found: Envelope, expected: Expected) -> None:
    _check_is(found, "kind", UPDATE)
    _check_is(found, "hospital", expected.hospital)
    _check_is(found, "run", expected.run)
    _check_is(found, "round", expected.round)
    _check_is(found, "base", expected.base)


def _check_is(found: Envelope, check: Check, wanted: str | int) -> None:
    """The field of the check's own name."""
    value = getattr(found, check)
    if value != wanted:
        raise RefusalError(check, f"{check} is {shown(value)}, {shown(wanted)} is waited for")


def _check_new(found: Envelope, used: Collection[str]) -> None:
    if found.nonce in used:
        raise RefusalError("nonce", f"{found.nonce} was used before: this is a repetition")


def _check_asks(found: Envelope) -> None:
    if found.kind not in ASKS:
        raise RefusalError("kind", f"kind is {shown(found.kind)}, nothing that a hospital does")


def _state(found: Envelope) -> int:
    """Earlier than an order's own round; at most the round that is evaluated."""
    value, most = found.numbers[STATE], found.round - (found.kind == ORDER)
    if value not in range(most + 1):
        raise RefusalError("round", f"state of round {value:g} in round {found.round}")
    return int(value)


def _check_later(found: Envelope, after: int) -> None:
    """Nothing is trained twice; to evaluate and to tell a loss changes nothing."""
    if found.kind == ORDER and found.round <= after:
        raise RefusalError("round", f"round is {found.round}, round {after} is done already")


def _tensors(found: Envelope, body: bytes, template: Template, numbers: frozenset[str]) -> Weights:
    if found.numbers.keys() != numbers:
        odd = sorted(found.numbers.keys() ^ numbers)
        raise RefusalError("tensors", f"number {shown(odd[0])} is missing, or not expected")
    return payload.read(body, template)


def _check_finite(found: Envelope, tensors: Weights) -> None:
    for name, value in found.numbers.items():
        if not math.isfinite(value):
            raise RefusalError("finite", f"{name} is {value}")
    for name, tensor in floating(tensors).items():
        if not bool(torch.isfinite(tensor).all()):
            raise RefusalError("finite", f"tensor {name!r} holds NaN or infinity")


def _check_norm(update: Update, expected: Expected) -> None:
    bound, before = expected.norm_bound, expected.weights
    if bound is None:
        return
    if not update.buffers.keys() <= before.keys():
        raise RefusalError("norm", "the weights that its running statistics changed from are gone")
    changes = [t.double() - before[name].double() for name, t in update.buffers.items()]
    norms = [torch.linalg.vector_norm(t.double()) for t in [*update.delta.values(), *changes]]
    norm = math.hypot(*(float(one) for one in norms))
    if not norm <= bound:
        raise RefusalError("norm", f"the update's norm is {norm:.6g}, at most {bound:g} is allowed")


def _check_counts(update: Update, most: int) -> None:
    if not 1 <= update.examples <= most:
        raise RefusalError("examples", f"{update.examples} examples, the roster allows 1 to {most}")
    if update.steps < 1:
        raise RefusalError("examples", f"{update.steps} steps: an update rests on at least one")
