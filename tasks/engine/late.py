"""Updates that come when their round is over: `federation.late`.

`next`: one of the last round counts in this one, unless its hospital sends a newer one in time. It
is a step from the weights of a round before, as in asynchronous federated learning with a staleness
of one (Xie, Koyejo, Gupta 2019, arXiv:1903.03934).
"""

from collections.abc import Callable
from typing import Literal

from tasks.exchange.admission import Admitted, Refused
from tasks.exchange.mailbox import Parcel

Admit = Callable[[Parcel, int, str], Admitted | Refused]
"""The update in a parcel, if it is right for this round and these base weights."""


class Late:
    """Of one hospital: the round that it missed, and its update of that round, once it comes."""

    def __init__(self, rule: Literal["drop", "next"]) -> None:
        self._rule = rule
        self._missed: tuple[int, str] | None = None
        self._found: Admitted | None = None

    def close(self, number: int, base: str) -> Admitted | None:
        """Round `number`, from the weights `base`, ends without the hospital's own update: the one
        before it that has come meanwhile."""
        self._missed = (number, base)
        found, self._found = self._found, None
        return found

    def in_time(self) -> None:
        """It has answered in its round: what came before is out of date."""
        self._missed = self._found = None

    def take(self, sent: Parcel, open_round: int | None, admit: Admit) -> Admitted | None:
        """The update, if the parcel holds the one that was missed. open_round: the round whose
        update is waited for now."""
        if self._rule == "drop" or sent.form != "envelope" or self._missed is None:
            return None
        if self._missed[0] == open_round:
            return None
        found = admit(sent, *self._missed)
        if isinstance(found, Refused):
            return None  # whoever waits for an answer says what is wrong with it
        self._found = found
        return found
