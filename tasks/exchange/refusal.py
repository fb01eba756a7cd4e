"""Why a message is not believed: the check that it failed, and what was found."""

from typing import Any, Literal

from federated.errors import WardroundError

Check = Literal[
    "size",
    "signature",
    "form",
    "kind",
    "hospital",
    "run",
    "round",
    "base",
    "payload",
    "nonce",
    "tensors",
    "finite",
    "norm",
    "examples",
]
"""In the order in which a message is checked."""
_SHOWN = 60


class RefusalError(WardroundError):
    """A message failed `check`. Never leaves `tasks/exchange/admission.py`, which records it."""

    def __init__(self, check: Check, why: str) -> None:
        super().__init__(f"{check}: {why}")
        self.check: Check = check
        self.why = why


def shown(value: Any) -> str:
    """What a stranger sent, for a message: short, on one line, and never walked into.

    (The repr of a list nested deeply enough to parse may be too deep to print.)
    """
    if isinstance(value, str):
        return ascii(value if len(value) <= _SHOWN else value[:_SHOWN] + "…")
    whole = type(value) is int and abs(value) < 2**64
    return str(value) if whole else f"a value of type {type(value).__name__}"
