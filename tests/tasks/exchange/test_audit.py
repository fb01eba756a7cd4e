import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.exchange import keys
from tasks.exchange.audit import Audit, AuditError, Event, opened
from tasks.exchange.audit_check import HEAD, LOG, Entry, Head, entries_in, verify
from tests.conftest import ROOT
from tests.tasks.exchange.traffic import COORDINATOR, NORTH

ENTRIES = 12


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A log of twelve entries."""
    with opened(tmp_path, COORDINATOR) as audit:
        for number in range(ENTRIES):
            audit.append(Event("asked", "north", number, {"kind": "order", "bytes": 4 * number}))
    return tmp_path


def test_entries_stand_as_they_were_appended(folder: Path) -> None:
    assert verify(folder, COORDINATOR.public).fault is None
    found = list(entries_in(folder / LOG))
    assert [entry.n for entry in found] == list(range(1, ENTRIES + 1))
    assert found[3].round == 3
    assert found[3].details == {"kind": "order", "bytes": 12}
    assert found[0].previous == "0" * 64
    assert found[1].previous == found[0].hash


def test_it_goes_on_where_it_was_left(folder: Path) -> None:
    with opened(folder, COORDINATOR) as audit:
        audit.append(Event("done", ""))
    found = verify(folder, COORDINATOR.public)
    assert (found.entries, found.fault) == (ENTRIES + 1, None)


def test_one_process_writes_at_a_time(folder: Path) -> None:
    second = opened(folder, COORDINATOR)
    with opened(folder, COORDINATOR), pytest.raises(AuditError, match="another process"):
        second.__enter__()


def lines(folder: Path) -> list[bytes]:
    return (folder / LOG).read_bytes().splitlines(keepends=True)


def edited(line: bytes, draw: random.Random) -> bytes:
    """One field of an entry changed, and written as the log writes."""
    values = json.loads(line)
    name = draw.choice([*values])
    old = values[name]
    values[name] = {str: f"{old}x", int: (old if isinstance(old, int) else 0) + 1}.get(
        type(old), {"bytes": draw.randint(10**6, 10**7)}
    )
    return json.dumps(values, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def rehashed(line: bytes, draw: random.Random) -> bytes:
    """An entry edited and hashed again by somebody who knows how."""
    values = json.loads(line)
    del values["hash"]
    return Entry(**values | {"event": f"event-{draw.randint(0, 9)}"}).line


def mutated(folder: Path, draw: random.Random) -> str:
    """Change the log in one of the ways in which one may be changed; which."""
    found, head = lines(folder), (folder / HEAD).read_bytes()
    at = draw.randrange(len(found))
    flipped = bytearray(b"".join(found))
    flipped[draw.randrange(len(flipped))] ^= 1 << draw.randrange(8)
    spoilt = bytearray(head)
    spoilt[draw.randrange(len(spoilt))] ^= 1 << draw.randrange(8)
    other = draw.choice([i for i in range(len(found)) if i != at])
    swapped = [*found]
    swapped[at], swapped[other] = swapped[other], swapped[at]
    ways: dict[str, tuple[bytes, bytes]] = {
        "bit": (bytes(flipped), head),
        "head": (b"".join(found), bytes(spoilt)),
        "edit": (b"".join([*found[:at], edited(found[at], draw), *found[at + 1 :]]), head),
        "rehash": (b"".join([*found[:at], rehashed(found[at], draw), *found[at + 1 :]]), head),
        "delete": (b"".join([*found[:at], *found[at + 1 :]]), head),
        "double": (b"".join([*found[: at + 1], *found[at:]]), head),
        "swap": (b"".join(swapped), head),
        "truncate": (b"".join(found)[: draw.randrange(len(flipped))], head),
        "lines": (b"".join(found[:at]), head),
        "nothing": (b"", head),
        "no head": (b"".join(found), head[: draw.randrange(len(head))]),
    }
    way = draw.choice([*ways])
    (folder / LOG).write_bytes(ways[way][0])
    (folder / HEAD).write_bytes(ways[way][1])
    return way


def test_any_change_is_found(folder: Path) -> None:
    log, head = (folder / LOG).read_bytes(), (folder / HEAD).read_bytes()
    tried: dict[str, int] = {}
    for seed in range(2000):
        way = mutated(folder, random.Random(seed))
        if ((folder / LOG).read_bytes(), (folder / HEAD).read_bytes()) != (log, head):
            tried[way] = tried.get(way, 0) + 1
            assert verify(folder, COORDINATOR.public).fault is not None, (seed, way)
        (folder / LOG).write_bytes(log)
        (folder / HEAD).write_bytes(head)
    assert len(tried) == 11
    assert sum(tried.values()) > 1900


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda f: f[:3] + f[4:], "line 4: entry 5 in place of 4"),
        (lambda f: f[:-2], "10 entries, the signed head has 12: the end was cut off"),
        (lambda f: [*f[:4], f[4].replace(b"north", b"south"), *f[5:]], "line 5: its content"),
        (lambda f: [*f[:-1], f[-1][:-3]], "does not end with a whole line"),
    ],
)
def test_the_first_bad_line_is_named(
    folder: Path, change: Callable[[list[bytes]], list[bytes]], said: str
) -> None:
    (folder / LOG).write_bytes(b"".join(change(lines(folder))))
    found = verify(folder, COORDINATOR.public)
    assert found.fault is not None
    assert said in found.fault


def test_another_key_signs_nothing_here(folder: Path) -> None:
    found = verify(folder, NORTH.public)
    assert found.fault is not None
    assert "not signed with" in found.fault


def test_an_older_state_is_found_by_a_head_that_was_noted(folder: Path) -> None:
    old = (folder / LOG).read_bytes(), (folder / HEAD).read_bytes()
    with opened(folder, COORDINATOR) as audit:
        audit.append(Event("refused", "north", 13))
        noted = audit.head
    (folder / LOG).write_bytes(old[0])
    (folder / HEAD).write_bytes(old[1])
    assert verify(folder, COORDINATOR.public).fault is None
    found = verify(folder, COORDINATOR.public, noted)
    assert found.fault == "12 entries, the head that was noted has 13: the end was cut off"
    assert verify(folder, COORDINATOR.public, Head(3, "a" * 64)).fault is not None


def test_nothing_is_appended_to_a_log_that_was_changed(folder: Path) -> None:
    (folder / LOG).write_bytes(b"".join(lines(folder)[1:]))
    with pytest.raises(AuditError, match="line 1"), opened(folder, COORDINATOR):
        pass


def test_a_line_that_was_not_signed_yet_is_kept_and_a_torn_one_is_cut(folder: Path) -> None:
    head = (folder / HEAD).read_bytes()
    with opened(folder, COORDINATOR) as audit:
        audit.append(Event("accepted", "north", 13))
    (folder / HEAD).write_bytes(head)  # as if it had been killed in between
    with (folder / LOG).open("ab") as file:
        file.write(b'{"details":')
    with opened(folder, COORDINATOR):
        pass
    *_, kept, healed = entries_in(folder / LOG)
    assert kept.event == "accepted"
    assert (healed.event, healed.details) == ("healed", {"lines_signed_late": 1, "bytes_cut": 11})
    assert verify(folder, COORDINATOR.public).fault is None


WRITER = """
import sys
from pathlib import Path
from tasks.exchange import keys
from tasks.exchange.audit import Event, opened
with opened(Path(sys.argv[1]), keys.load(Path(sys.argv[2]))) as audit:
    number = 0
    while True:
        audit.append(Event("asked", "north", number, {}))
        number += 1
        print(audit.head.count, flush=True)
"""


def test_a_killed_writer_loses_nothing_that_it_acknowledged(tmp_path: Path) -> None:
    private = keys.create(tmp_path / "key")
    folder, known = tmp_path / "audit", 0
    for turn in range(6):
        command = [sys.executable, "-c", WRITER, str(folder), str(tmp_path / "key")]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        writer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        assert writer.stdout is not None
        known = int(writer.stdout.readline())
        time.sleep(0.013 * turn)
        writer.send_signal(signal.SIGKILL)
        rest = writer.stdout.read().split("\n")[:-1]
        writer.wait()
        writer.stdout.close()
        known = int(rest[-1]) if rest else known
        found = verify(folder, private.public, unsigned=True)
        assert found.entries >= known
    assert isinstance(Audit.begin(folder, private), Audit)
    assert verify(folder, private.public).fault is None
