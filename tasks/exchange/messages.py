"""Updates and orders as messages: a sealed envelope, and the tensors as its payload.

Tensors travel as `delta/…` and `tensors/…`, or `weights/…` and `extra/…`. An order's payload is the
same for all hospitals; each has an envelope of its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from federated import states
from federated.types import Order, Update, Weights
from federated.weights import digest, to_bytes
from tasks.exchange.envelope import ORDER, UPDATE, Envelope, seal
from tasks.exchange.keys import PrivateKey
from tasks.exchange.template import Template, template_of

LOSS, RATE = "loss", "rate"
_SCALAR = "scalar_"


@dataclass(frozen=True)
class Message:
    """From a hospital: its sealed envelope, and the payload's bytes."""

    sealed: bytes
    payload: bytes


@dataclass(frozen=True)
class Orders:
    """Of one round. sealed: hospital → its envelope; base: SHA-256 of the weights' bytes."""

    payload: bytes
    sealed: Mapping[str, bytes]
    base: str


def update_template(delta: Weights, tensors: Weights) -> Template:
    """Of updates like these: the shared floating tensors, and what else the local rule sends."""
    return template_of(states.join(delta=delta, tensors=tensors))


def order_template(weights: Weights, extra: Weights) -> Template:
    """Of orders like these. A server rule's `extra` may be empty in the first round."""
    return template_of(states.join(weights=weights), states.join(extra=extra))


def of_update(update: Update, run: str, base: str, nonce: str, private: PrivateKey) -> Message:
    """base: of the order that it answers. Raises RefusalError (form) for unfit names."""
    body = to_bytes(states.join(delta=update.delta, tensors=update.tensors))
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


def of_order(order: Order, run: str, nonces: Mapping[str, str], private: PrivateKey) -> Orders:
    """nonces: one for each hospital that is asked. Raises RefusalError (form), as `of_update`."""
    body = to_bytes(states.join(weights=order.weights, extra=order.extra))
    base, name = digest(to_bytes(order.weights)), digest(body)
    sealed = {
        hospital: seal(
            Envelope(
                kind=ORDER,
                run=run,
                round=order.round,
                hospital=hospital,
                base=base,
                payload=name,
                nonce=nonce,
                numbers={RATE: order.rate},
            ),
            private,
        )
        for hospital, nonce in nonces.items()
    }
    return Orders(body, sealed, base)


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
