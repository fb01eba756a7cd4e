"""What is said besides orders and updates, signed: who joins, statistics, counts, refusals.

Signed as envelopes are, for another use (`signed.py`): neither can stand for the other. A repeated
note is told by `answers`: what answers no question that was asked just now does not count.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from tasks.exchange.fields import NAME
from tasks.exchange.keys import PrivateKey, PublicKey
from tasks.exchange.refusal import RefusalError, shown
from tasks.exchange.signed import Use

MOST = 2**20  # bytes of a sealed note
_USE = Use("note", b"wardround note v1\n", 1, MOST)
_NONCE = re.compile("[0-9a-f]{32}|")
_KIND = re.compile("[a-z]{1,20}")
_ROUNDS = 2**31 - 1


@dataclass(frozen=True)
class Note:
    """Raises RefusalError (form) for a field that is malformed, and names it.

    hospital: whose, or for whom. answers: the nonce of what it answers, empty if nothing. body:
    text, whole numbers, lists and objects of them.
    """

    kind: str
    run: str
    hospital: str
    round: int
    nonce: str
    answers: str = ""
    body: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        patterns = {"kind": _KIND, "run": NAME, "hospital": NAME, "nonce": _NONCE}
        for name, pattern in (patterns | {"answers": _NONCE}).items():
            value = getattr(self, name)
            if not isinstance(value, str) or not pattern.fullmatch(value):
                raise RefusalError("form", f"{name} is {shown(value)}, not {pattern.pattern}")
        if type(self.round) is not int or not 0 <= self.round <= _ROUNDS:
            raise RefusalError(
                "form", f"round is {shown(self.round)}, not a whole number from 0 up"
            )
        if not isinstance(self.body, dict):
            raise RefusalError("form", f"body is {shown(self.body)}, not an object")


_FIELDS = {f.name for f in fields(Note)}


def seal_note(note: Note, private: PrivateKey) -> bytes:
    """Signature and JSON."""
    return _USE.seal(asdict(note), private)


def open_note(sealed: bytes, public: PublicKey, run: str, hospital: str) -> Note:
    """The note of this run and hospital that the holder of the private key signed.

    Raises RefusalError: size, signature, form, hospital or run. Nothing unsigned is parsed.
    """
    values = _USE.unseal(sealed, public, _FIELDS)
    note = Note(**values)
    if note.hospital != hospital:
        raise RefusalError("hospital", f"hospital is {note.hospital!r}, not {hospital!r}")
    if note.run != run:
        raise RefusalError("run", f"run is {note.run!r}, not {run!r}")
    return note
