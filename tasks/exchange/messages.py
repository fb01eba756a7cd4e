"""Updates and orders as messages: a sealed envelope, and the tensors as its payload.

Tensors travel as `delta/…`, `tensors/…` and `buffers/…`, or `weights/…` and `extra/…`. An order's
payload is the same for all hospitals; each has an envelope of its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from federated import states
from federated.types import Order, Update, Weights
from federated.weights import digest, to_bytes
from tasks.exchange.envelope import ORDER, UPDATE, Envelope, seal
from tasks.exchange.keys import PrivateKey
from tasks.exchange.template import Template, template_of

LOSS, RATE, STATE = "loss", "rate", "state"
_SCALAR = "scalar_"


@dataclass(frozen=True)
class Message:
    """From a hospital: its sealed envelope, and the payload's bytes."""

    sealed: bytes
    payload: bytes


@dataclass(frozen=True)
class Body:
    """An order's payload, the same for all. name: its SHA-256; base: of the weights' bytes."""

    payload: bytes
    name: str
    base: str


@dataclass(frozen=True)
class Orders:
    """Of one round. sealed: hospital → its envelope."""

    payload: bytes
    sealed: Mapping[str, bytes]
    base: str


def update_template(delta: Weights, tensors: Weights, buffers: Weights) -> Template:
    """Of updates like these: shared parameters, what else the local rule sends, statistics."""
    return template_of(states.join(delta=delta, tensors=tensors, buffers=buffers))


def order_template(weights: Weights, extra: Weights) -> Template:
    """Of orders like these. A server rule's `extra` may be empty in the first round."""
    return template_of(states.join(weights=weights), states.join(extra=extra))


def of_update(update: Update, run: str, base: str, nonce: str, private: PrivateKey) -> Message:
    """base: of the order that it answers. Raises RefusalError (form) for unfit names."""
    body = to_bytes(states.join(delta=update.delta, tensors=update.tensors, buffers=update.buffers))
    scalars = {f"{_SCALAR}{name}": value for name, value in update.scalars.items()}
    envelope = Envelope(
        kind=UPDATE,
        run=run,
        round=update.round,
        hospital=update.hospital,
        base=base,
        payload=digest(body),
        nonce=nonce,
        examples=update.examples,
        steps=update.steps,
        sent=update.sent,
        numbers={LOSS: update.loss, **scalars},
    )
    return Message(seal(envelope, private), body)


def body_of(order: Order) -> Body:
    """What all hospitals of a round get."""
    payload = to_bytes(states.join(weights=order.weights, extra=order.extra))
    return Body(payload, digest(payload), digest(to_bytes(order.weights)))


def of_order(
    order: Order,
    run: str,
    nonces: Mapping[str, str],
    private: PrivateKey,
    *,
    kind: str = ORDER,
    kept: Mapping[str, int] | None = None,
    body: Body | None = None,
) -> Orders:
    """nonces: one for each hospital that is asked. kept: round of each hospital's own state that
    counts, 0 (none) by default. body: of this very order, if it is known.

    Raises RefusalError (form), as `of_update`.
    """
    body = body or body_of(order)
    sealed = {}
    for hospital, nonce in nonces.items():
        envelope = Envelope(
            kind=kind,
            run=run,
            round=order.round,
            hospital=hospital,
            base=body.base,
            payload=body.name,
            nonce=nonce,
            numbers={RATE: order.rate, STATE: (kept or {}).get(hospital, 0)},
        )
        sealed[hospital] = seal(envelope, private)
    return Orders(body.payload, sealed, body.base)


def update_in(envelope: Envelope, tensors: Weights) -> Update:
    """The update of a message that was checked."""
    scalars = {
        name.removeprefix(_SCALAR): value
        for name, value in envelope.numbers.items()
        if name.startswith(_SCALAR)
    }
    return Update(
        hospital=envelope.hospital,
        round=envelope.round,
        delta=states.part(tensors, "delta"),
        examples=envelope.examples,
        steps=envelope.steps,
        loss=envelope.numbers[LOSS],
        tensors=states.part(tensors, "tensors"),
        scalars=scalars,
        sent=envelope.sent,
        buffers=states.part(tensors, "buffers"),
    )


def order_in(envelope: Envelope, tensors: Weights) -> Order:
    """The order of a message that was checked."""
    return Order(
        round=envelope.round,
        weights=states.part(tensors, "weights"),
        extra=states.part(tensors, "extra"),
        rate=envelope.numbers[RATE],
    )


def update_numbers(scalars: frozenset[str]) -> frozenset[str]:
    """Names of the numbers of an update with these scalars (`Algorithm.needs`)."""
    return frozenset({LOSS, *(f"{_SCALAR}{name}" for name in scalars)})
