"""An append-only log of what was asked, accepted and refused, which shows when it was changed.

One line of canonical JSON an entry; each holds the hash of the one before it, and the newest hash
is signed in a file of its own, the head (as Schneier and Kelsey 1999, doi 10.1145/317087.317089,
but with a signature in place of a shared key). Whoever holds the private key can write another
whole log: keep heads elsewhere, and `verify` compares (`at_least`).
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from filelock import FileLock, Timeout

from federated.errors import WardroundError
from tasks.exchange import canonical
from tasks.exchange.audit_check import HEAD, LOG, SIGNED, Entry, Head, entries_in, head_of, verify
from tasks.exchange.keys import PrivateKey
from tasks.files import sync_folder, write_atomic

_LOCK = ".lock"


class AuditError(WardroundError):
    """The log was changed, or is being written by another process."""


@dataclass(frozen=True)
class Event:
    """round: None where it is of none. details: text and whole numbers, never a row's value."""

    event: str
    hospital: str
    round: int | None = None
    details: Mapping[str, str | int] | None = None


class Audit:
    """Open for writing; `opened` makes one."""

    def __init__(self, folder: Path, private: PrivateKey, head: Head) -> None:
        self.folder, self._private, self._head = folder, private, head

    @property
    def head(self) -> Head:
        """Of the newest entry."""
        return self._head

    def append(self, event: Event) -> None:
        """On the disk when this returns: first the line, then the head that signs it.

        Raises AuditError where it cannot be written.
        """
        entry = Entry(
            n=self._head.count + 1,
            time=datetime.now(UTC).isoformat(timespec="milliseconds"),
            event=event.event,
            hospital=event.hospital,
            round=event.round,
            details=dict(event.details or {}),
            previous=self._head.hash,
        )
        try:
            with (self.folder / LOG).open("ab") as file:
                file.write(entry.line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise AuditError(f"{self.folder / LOG}: cannot be written: {error.strerror}") from error
        self._sign(Head(entry.n, entry.hash))

    def _sign(self, head: Head) -> None:
        body = canonical.to_bytes(asdict(head))
        signed = {"head": asdict(head), "signature": self._private.sign(SIGNED + body).hex()}
        write_atomic(self.folder / HEAD, (json.dumps(signed) + "\n").encode(), durable=True)
        self._head = head

    @classmethod
    def begin(cls, folder: Path, private: PrivateKey) -> Self:
        """Go on where the log ends.

        A process that was killed may leave lines that the head does not sign yet, the last one
        torn. Whole lines that continue the chain are kept and signed, which is written down; a
        torn one was never acknowledged and goes. Raises AuditError for any other fault.
        """
        folder.mkdir(parents=True, exist_ok=True)
        log = folder / LOG
        data = log.read_bytes() if log.exists() else b""
        torn = len(data) - (data.rfind(b"\n") + 1)
        if torn:
            with log.open("ab") as file:
                file.truncate(len(data) - torn)
        if not data[: len(data) - torn] and not (folder / HEAD).exists():
            log.touch()
            found = cls(folder, private, Head(0, Head.FIRST))
            found._sign(found._head)
            sync_folder(folder)
            return found
        verdict = verify(folder, private.public, unsigned=True)
        if verdict.fault is not None:
            raise AuditError(
                f"{folder}: {verdict.fault}. Nothing is written to it: keep it as it is, find out "
                "who changed it, and begin another in its place"
            )
        signed = head_of(folder, private.public)
        last = signed
        for entry in entries_in(log):
            last = Head(entry.n, entry.hash)
        found = cls(folder, private, last)
        if torn or verdict.entries > signed.count:
            late = verdict.entries - signed.count
            found.append(Event("healed", "", None, {"lines_signed_late": late, "bytes_cut": torn}))
        return found


@contextmanager
def opened(folder: Path, private: PrivateKey) -> Iterator[Audit]:
    """The log, for one process at a time. Raises AuditError."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / _LOCK)
    try:
        lock.acquire(timeout=1)
    except Timeout:
        raise AuditError(f"{folder}: another process writes this audit log") from None
    try:
        yield Audit.begin(folder, private)
    finally:
        lock.release()
