"""What is said about a payload, signed: who sends it, for which round, and what it is an answer to.

It is signed (`signed.py`): nothing signed for another use is an envelope.
"""

import re
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from tasks.exchange.keys import PrivateKey, PublicKey
from tasks.exchange.refusal import RefusalError, shown
from tasks.exchange.signed import Use

SCHEMA = 1
MOST = 16 * 1024  # bytes of a sealed envelope; parsing as many takes under 1 MiB of memory
UPDATE, ORDER, EVALUATE, LOSS = "update", "order", "evaluate", "loss"
ASKS = (ORDER, EVALUATE, LOSS)
"""What the coordinator asks of a hospital: to train, to evaluate, its loss."""
_USE = Use("envelope", b"wardround envelope v1\n", SCHEMA, MOST)
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_TEXTS = {
    "kind": re.compile("|".join((UPDATE, *ASKS))),
    "run": _NAME,
    "hospital": _NAME,
    "base": re.compile("[0-9a-f]{64}"),
    "payload": re.compile("[0-9a-f]{64}"),
    "nonce": re.compile("[0-9a-f]{32}"),
}
_COUNT = 2**53 - 1  # what every JSON reader holds exactly
_WHOLES = {
    "round": (0, 2**31 - 1),
    "examples": (0, _COUNT),
    "steps": (0, _COUNT),
    "sent": (0, _COUNT),
}
_NUMBER = re.compile("[a-z][a-z0-9_]{0,63}")
_NUMBERS = 64


@dataclass(frozen=True)
class Envelope:
    """One message's. Raises RefusalError (form) for a field that is malformed, and names it.

    kind: `update`, from a hospital, or one of ASKS, to one. round: 0 for the initial model.
    hospital: whose, or for whom. base: SHA-256 of the global weights that the round begins with;
    payload: of the payload's bytes. examples, steps, sent: as `Update`'s, in an order 0. numbers:
    the loss and scalars, or the order's rate and the round of the hospital's state that counts;
    NaN and infinity travel too, to be refused by name.
    """

    kind: str
    run: str
    round: int
    hospital: str
    base: str
    payload: str
    nonce: str
    examples: int = 0
    steps: int = 0
    sent: int = 0
    numbers: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, pattern in _TEXTS.items():
            value = getattr(self, name)
            if not isinstance(value, str) or not pattern.fullmatch(value):
                raise RefusalError("form", f"{name} is {shown(value)}, not {pattern.pattern}")
        for name, (low, high) in _WHOLES.items():
            value = getattr(self, name)
            if type(value) is not int or not low <= value <= high:
                raise RefusalError(
                    "form", f"{name} is {shown(value)}, not a whole number from {low} up"
                )
        for name in self.numbers:
            if not _NUMBER.fullmatch(name):
                raise RefusalError("form", f"{shown(name)} is no name of a number")
        if len(self.numbers) > _NUMBERS:
            raise RefusalError("form", f"{len(self.numbers)} numbers, at most {_NUMBERS} are right")


_FIELDS = {f.name for f in fields(Envelope)}


def new_nonce() -> str:
    """128 bits that were never used before, as 32 hexadecimal digits."""
    return secrets.token_hex(16)


def seal(envelope: Envelope, private: PrivateKey) -> bytes:
    """Signature and JSON. Numbers are written in hexadecimal, which loses no bit of them."""
    numbers = {name: float(value).hex() for name, value in envelope.numbers.items()}
    return _USE.seal(asdict(envelope) | {"numbers": numbers}, private)


def unseal(sealed: bytes, public: PublicKey) -> Envelope:
    """The envelope that the holder of the private key signed; nothing unsigned is parsed.

    Raises RefusalError: size, signature or form.
    """
    values = _USE.unseal(sealed, public, _FIELDS)
    return Envelope(**values | {"numbers": _numbers(values["numbers"])})


def _numbers(values: Any) -> dict[str, float]:
    if not isinstance(values, dict):
        raise RefusalError("form", f"numbers is {shown(values)}, not an object")
    return {name: _number(name, text) for name, text in values.items()}


def _number(name: str, text: Any) -> float:
    try:
        value = float.fromhex(text)
    except (TypeError, ValueError, OverflowError) as error:
        raise RefusalError("form", f"number {shown(name)} is {shown(text)}") from error
    if value.hex() != text:
        raise RefusalError("form", f"number {shown(name)} is {shown(text)}, not {value.hex()}")
    return value
