"""Reading an audit log, and finding out whether it is the one that was written."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar

from tasks.exchange import canonical
from tasks.exchange.keys import PublicKey

LOG, HEAD = "log.jsonl", "head.json"
SIGNED = b"wardround audit v1\n"
_HASH = 64  # hexadecimal digits of a SHA-256


@dataclass(frozen=True)
class Head:
    """count: entries; hash: of the last."""

    FIRST: ClassVar[str] = "0" * _HASH
    count: int
    hash: str


@dataclass(frozen=True)
class Entry:
    """A line. n: from 1. previous: hash of the entry before it."""

    n: int
    time: str
    event: str
    hospital: str
    round: int | None
    details: Mapping[str, str | int]
    previous: str
    hash: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        body = {name: value for name, value in asdict(self).items() if name != "hash"}
        object.__setattr__(self, "hash", hashlib.sha256(canonical.to_bytes(body)).hexdigest())

    @property
    def line(self) -> bytes:
        """As it stands in the file."""
        return canonical.to_bytes(asdict(self)) + b"\n"


@dataclass(frozen=True)
class Verdict:
    """entries: that are in order, from the first. fault: None if all are."""

    entries: int
    fault: str | None
    head: Head | None = None


_FIELDS = {f.name for f in fields(Entry)}


def entries_in(path: Path) -> Iterator[Entry]:
    """The entries of a log that was verified."""
    for line in path.read_bytes().splitlines():
        values = json.loads(line)
        yield Entry(**{name: value for name, value in values.items() if name != "hash"})


def verify(
    folder: Path,
    public: PublicKey,
    at_least: Head | None = None,
    *,
    unsigned: bool = False,
) -> Verdict:
    """Is every line as it was written, and is none missing?

    at_least: a head that was noted before; only with one can a log be found out that was put back
    to an older state together with its head. unsigned: lines after the signed head are no fault
    (a writer may be at work, or was killed).
    """
    try:
        lines = (folder / LOG).read_bytes().split(b"\n")
        head = head_of(folder, public)
    except (OSError, ValueError) as error:
        return Verdict(0, str(error))
    if lines.pop() != b"":
        return Verdict(0, f"{LOG} does not end with a whole line: it was cut off")
    previous, hashes = Head.FIRST, [Head.FIRST]
    for number, line in enumerate(lines, start=1):
        fault = _fault(line, number, previous)
        if fault is not None:
            return Verdict(number - 1, f"{LOG}, line {number}: {fault}", head)
        previous = json.loads(line)["hash"]
        hashes.append(previous)
    fault = _against(head, hashes, "the signed head", unsigned=unsigned)
    if fault is None and at_least is not None:
        fault = _against(at_least, hashes, "the head that was noted", unsigned=True)
    return Verdict(len(lines), fault, head)


def head_of(folder: Path, public: PublicKey) -> Head:
    """The signed head. Raises OSError, or ValueError if it is not signed with this key."""
    text = (folder / HEAD).read_text(encoding="utf-8")
    try:
        values = json.loads(text)
        head, signature = values["head"], bytes.fromhex(values["signature"])
        whole = values.keys() == {"head", "signature"} and head.keys() == {"count", "hash"}
        whole = whole and signature.hex() == values["signature"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{HEAD} is not a signed head") from error
    if not whole or (json.dumps(values) + "\n") != text:
        raise ValueError(f"{HEAD} is not a signed head")
    if not public.verifies(signature, SIGNED + canonical.to_bytes(head)):
        raise ValueError(f"{HEAD} is not signed with {public.text}")
    return Head(**head)


def _fault(line: bytes, number: int, previous: str) -> str | None:
    try:
        values: dict[str, Any] = canonical.from_bytes(line)
    except canonical.FormError as error:
        return f"not as it was written ({error})"
    if values.keys() != _FIELDS:
        return "not as it was written (other fields)"
    said = values.pop("hash")
    if values["n"] != number:
        return f"entry {values['n']} in place of {number}: entries are missing or moved"
    if values["previous"] != previous:
        return "it does not follow on the line before it: entries were edited, removed or moved"
    if Entry(**values).hash != said:
        return "its content is not what was hashed: it was edited"
    return None


def _against(head: Head, hashes: list[str], what: str, *, unsigned: bool) -> str | None:
    if head.count >= len(hashes):
        return f"{len(hashes) - 1} entries, {what} has {head.count}: the end was cut off"
    if hashes[head.count] != head.hash:
        return f"entry {head.count} is not that of {what}: the log was rewritten"
    late = len(hashes) - 1 - head.count
    return (
        f"{late} entries after {what}: added by another, or a writer was cut off"
        if late and not unsigned
        else None
    )
