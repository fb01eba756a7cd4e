"""The coordinator's side of one hospital's session: it asks, and knows when an answer is none.

A hospital that was restarted says hello again and is told again; one whose session has ended gets
another. Whatever else comes in place of an answer is written down and does not count.
"""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TypeVar

from federated.errors import WardroundError
from tasks.exchange.admission import Refused
from tasks.exchange.envelope import new_nonce
from tasks.exchange.hello import Hello, hello_in
from tasks.exchange.keys import PrivateKey
from tasks.exchange.mailbox import Letter, Parcel, parcel
from tasks.exchange.note import Note, open_note, seal_note
from tasks.exchange.refusal import Check, RefusalError
from tasks.exchange.roster import Member
from tasks.exchange.sessions import Sessions
from tasks.exchange.store import Store

T = TypeVar("T")
_LOOK = 2.0  # seconds without a letter, until the session itself is looked at
_NOT_ITS_ANSWER: frozenset[Check] = frozenset(
    {"size", "signature", "form", "run", "round", "base", "nonce"}
)
"""Refused for these, a message may be another's, or of another round: the answer may yet come."""


class AbsentError(WardroundError):
    """A hospital did not answer, or said why it will not."""

    def __init__(self, hospital: str, round_: int, why: str) -> None:
        super().__init__(f"hospital {hospital!r}, round {round_}: {why}")
        self.why = why


@dataclass(frozen=True)
class Common:
    """What all conversations of a job share. location: where payloads are exchanged."""

    run: str
    private: PrivateKey
    location: str
    sessions: Sessions


class Conversation:
    """With one hospital. Used by one thread at a time."""

    def __init__(self, hospital: str, member: Member, common: Common) -> None:
        self.hospital, self.member, self.common = hospital, member, common
        self.store = Store(common.location, hospital)
        self._known: Hello | None = None
        self._welcome: Note | None = None

    @property
    def known(self) -> Hello:
        """What it said when it joined."""
        assert self._known is not None, "a hospital is asked after it has joined"
        return self._known

    def join(self, until: float) -> Hello:
        """Its hello. until: on the monotonic clock. Raises AbsentError.

        A session that is still there, of a coordinator that was killed, gets the new plan.
        """
        plan = self.common.sessions.take_up(self.hospital)
        if plan is None:
            self.common.sessions.begin(self.hospital)
        else:
            self._post(parcel("note", plan))
        return self._await(0, until, self._first_hello, lambda: None)

    def tell(self, note: Note) -> None:
        """Send a note that nobody waits for."""
        self._post(parcel("note", seal_note(note, self.common.private)))

    def welcome(self, note: Note) -> None:
        """The statistics that the job uses, now and after every restart."""
        self._welcome = note
        self.tell(note)

    def note(self, kind: str, number: int = 0, **body: object) -> Note:
        """A note to the hospital."""
        run, nonce = self.common.run, new_nonce()
        return Note(kind, run, self.hospital, number, nonce, body=dict(body))

    def ask(
        self,
        number: int,
        seconds: float,
        post: Callable[[], None],
        read: Callable[[Parcel], T | Refused | None],
    ) -> T:
        """What `read` takes for the answer of round `number`; None is something else, and no fault.
        post: sends the question.

        Raises AbsentError.
        """
        return self._await(number, time.monotonic() + seconds, read, post)

    def read_note(
        self, kind: str, number: int, sent: Parcel, questions: Collection[str]
    ) -> Note | Refused:
        """The note of this kind and round in a parcel. questions: nonces; it answers one."""
        try:
            note = self._opened(sent)
        except RefusalError as error:
            return Refused(self.hospital, number, error.check, error.why)
        if (note.kind, note.round) != (kind, number):
            why = f"{note.kind} of round {note.round}, {kind} of round {number} is waited for"
            return Refused(self.hospital, number, "round", why)
        if note.answers not in questions:
            why = f"{kind} that answers no question asked now: this is a repetition"
            return Refused(self.hospital, number, "nonce", why)
        return note

    def event(self, what: str, number: int, **details: str | int) -> None:
        """Write down what happened."""
        self.common.sessions.report(what, self.hospital, number, **details)

    def _await(
        self,
        number: int,
        until: float,
        read: Callable[[Parcel], T | Refused | None],
        post: Callable[[], None],
    ) -> T:
        post()
        while (left := until - time.monotonic()) > 0:
            letter = self.common.sessions.next(self.hospital, min(left, _LOOK))
            if letter is None:
                self._look_after(number)
                continue
            if letter.parcel is None:
                self.event("refused", number, why=f"form: {letter.fault}")
                continue
            if self._again(letter, number):
                post()
                continue
            answer = read(letter.parcel)
            if answer is None:
                continue
            if not isinstance(answer, Refused):
                return answer
            self.event("refused", number, why=f"{answer.check}: {answer.reason}")
            if answer.check not in _NOT_ITS_ANSWER:
                raise AbsentError(self.hospital, number, f"{answer.check}: {answer.reason}")
        self.event("missing", number, why="no answer in time")
        raise AbsentError(self.hospital, number, "no answer in time")

    def _first_hello(self, sent: Parcel) -> Hello | Refused:
        note = self.read_note("hello", 0, sent, {""})
        if isinstance(note, Refused):
            return note
        try:
            found = hello_in(note.body, self.hospital)
        except RefusalError as error:
            return Refused(self.hospital, 0, error.check, error.why)
        if not 1 <= found.rows.train <= self.member.max_examples:
            why = f"{found.rows.train} rows, the roster allows {self.member.max_examples}"
            return Refused(self.hospital, 0, "examples", why)
        self._known = found
        self.event("joined", 0, md5=found.md5, rows=found.rows.train)
        return found

    def _again(self, letter: Letter, number: int) -> bool:
        """Was it a hello of a session begun anew? Then it is told what the first one was told."""
        assert letter.parcel is not None
        if letter.parcel.form != "note":
            return False
        try:
            note = self._opened(letter.parcel)
        except RefusalError:
            return False  # whoever reads it says why
        if note.kind == "fault":
            why = str(note.body.get("why", ""))[:500]
            self.event("fault", number, why=why)
            raise AbsentError(self.hospital, number, why)
        if note.kind != "hello" or self._known is None:
            return False
        if note.body.get("md5") != self.known.md5:
            why = "its records are others than when it joined; begin the job again"
            self.event("refused", number, why=why)
            raise AbsentError(self.hospital, number, why)
        self.event("rejoined", number)
        if self._welcome is not None:
            self.tell(self._welcome)
        return True

    def _look_after(self, number: int) -> None:
        """Give it another session if its own has ended."""
        ended = self.common.sessions.ended(self.hospital)
        if ended is not None:
            self.event("session ended", number, state=ended)
            self.common.sessions.begin(self.hospital)

    def _opened(self, sent: Parcel) -> Note:
        return open_note(sent.bytes, self.member.key, self.common.run, self.hospital)

    def _post(self, sent: Parcel) -> None:
        self.common.sessions.post(self.hospital, sent)

    def post(self, sealed: bytes, payload: str) -> None:
        """Send an envelope whose payload is in the store."""
        self._post(parcel("envelope", sealed, payload))
