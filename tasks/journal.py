"""The run journal: what has happened for sure, and where a killed run goes on.

One folder a run: `journal.db` (SQLite, WAL, synchronous=FULL: a committed row survives a power
cut) and `weights/<sha256>.safetensors`, written and synced before the row that names them. A row
of `rounds` is a finished round; anything else of a round that was cut off leaves no trace and is
done again to the same bytes. MLflow and the reports are readers' copies of this record.
"""

import json
import secrets
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from federated.counts import Counts, to_dict
from federated.errors import CorruptDataError, DataError, WardroundError
from federated.federation import Standing
from federated.objectives import from_dict
from federated.types import Receipt, Weights
from federated.weights import digest, from_bytes, to_bytes
from tasks.files import write_atomic

_TABLES = """
CREATE TABLE IF NOT EXISTS rounds (round INTEGER PRIMARY KEY, record TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
"""


@dataclass(frozen=True)
class RoundRecord:
    """One finished round. Round 0 is the initial model: evaluated, trained by nobody.

    weights, state: digests of the global weights after the round and of the server's state.
    states: hospital → digest of its own state. train_loss, steps, sent: by hospital of the
    cohort, sent in bytes. counts, validation: over test and validation rows, by hospital; empty
    where no hospital keeps validation rows. tuned: hospitals trained for themselves alone.
    time_ms: when it was committed (Unix time), the timestamp of its metrics in MLflow.
    """

    round: int
    weights: str
    state: str
    states: dict[str, str]
    train_loss: dict[str, float]
    steps: dict[str, int]
    sent: dict[str, int]
    counts: dict[str, Counts]
    validation: dict[str, Counts]
    tuned: bool
    time_ms: int

    @property
    def files(self) -> set[str]:
        """Digests of all that it names."""
        return {self.weights, self.state, *self.states.values()}

    @property
    def cohort(self) -> tuple[str, ...]:
        """The hospitals that trained."""
        return tuple(self.steps)


class Journal:
    """An open journal; `open_journal` makes one and holds its lock."""

    def __init__(self, folder: Path) -> None:
        """Open the journal in `folder`, or begin one. Raises CorruptDataError if it is damaged."""
        self.folder = folder
        (folder / "weights").mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(folder / "journal.db", check_same_thread=False)
        try:
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.executescript(_TABLES)
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise CorruptDataError(
                f"{folder / 'journal.db'}: cannot be read ({error}); restore it from a backup, or "
                f"remove {folder} to begin this run again"
            ) from error
        if self.fact("id") is None:
            self.note("id", secrets.token_hex(6))

    @property
    def name(self) -> str:
        """The folder's name and a random part: no journal that takes its place is called so."""
        return f"{self.folder.name}-{self.fact('id')}"

    def commit(
        self,
        now: Standing,
        updates: Sequence[Receipt],
        counts: dict[str, Counts],
        validation: dict[str, Counts],
        *,
        tuned: bool = False,
    ) -> RoundRecord:
        """Make a round final: first its weights and states, then the row that names them."""
        record = RoundRecord(
            round=now.round,
            weights=self._store(now.weights),
            state=self._store(now.server),
            states={h: self._store(own) for h, own in sorted(now.states.items()) if own},
            train_loss={u.hospital: u.loss for u in updates},
            steps={u.hospital: u.steps for u in updates},
            sent={u.hospital: u.sent for u in updates},
            counts=counts,
            validation=validation,
            tuned=tuned,
            time_ms=time.time_ns() // 1_000_000,
        )
        values = vars(record) | {
            name: {h: to_dict(c) for h, c in found.items()}
            for name, found in (("counts", counts), ("validation", validation))
        }
        with self._db:
            self._db.execute("INSERT INTO rounds VALUES (?, ?)", (now.round, json.dumps(values)))
        return record

    def rounds(self) -> list[RoundRecord]:
        """All finished rounds, in order."""
        rows = self._db.execute("SELECT record FROM rounds ORDER BY round")
        return [_record(json.loads(text)) for (text,) in rows]

    def standing(self, record: RoundRecord) -> Standing:
        """Where the federation stood after this round. Raises CorruptDataError like `load`."""
        states = {h: self.load(name) for h, name in record.states.items()}
        return Standing(record.round, self.load(record.weights), self.load(record.state), states)

    def load(self, name: str) -> Weights:
        """The weights or state with this digest.

        Raises CorruptDataError, naming the round, if the file is gone or its bytes differ.
        """
        path = self.weights_path(name)
        data = path.read_bytes() if path.is_file() else None
        if data is None or digest(data) != name:
            number = next((r.round for r in self.rounds() if name in r.files), None)
            fault = "no such file" if data is None else "its bytes are not those that were written"
            raise CorruptDataError(
                f"round {number}: {path}: {fault}; restore it from a backup, or remove "
                f"{self.folder} to begin this run again"
            )
        return from_bytes(data)

    def weights_path(self, name: str) -> Path:
        """Where the file with this digest lies."""
        return self.folder / "weights" / f"{name}.safetensors"

    def note(self, name: str, value: Any) -> None:
        """Keep a fact (JSON) under a name, durably."""
        with self._db:
            self._db.execute(
                "INSERT INTO facts VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
                (name, json.dumps(value)),
            )

    def fact(self, name: str) -> Any:
        """The fact kept under a name, or None."""
        row = self._db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return json.loads(row[0]) if row else None

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def _store(self, weights: Weights) -> str:
        data = to_bytes(weights)
        name = digest(data)
        if not self.weights_path(name).exists():
            write_atomic(self.weights_path(name), data, durable=True)
        return name


@contextmanager
def open_journal(root: Path, fingerprint: str) -> Iterator[Journal]:
    """The unfinished journal of this very run (config, data and version agree), or a new one.

    Raises WardroundError if another process is running it now, DataError if `root` cannot be
    written.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock = FileLock(root / f"{fingerprint[:12]}.lock")
        lock.acquire(timeout=0)
    except Timeout:
        raise WardroundError(
            f"this very run is already going on in another process (lock {lock.lock_file}); "
            "wait for it, or change a setting"
        ) from None
    except OSError as error:
        raise DataError(f"{root}: the run journal cannot be written ({error.strerror})") from error
    try:
        journal = _latest(root, fingerprint[:12])
        try:
            yield journal
        finally:
            journal.close()
    finally:
        lock.release()


def _latest(root: Path, prefix: str) -> Journal:
    """The last journal of this fingerprint unless it is finished; else the next one."""
    folders = sorted(p for p in root.glob(f"{prefix}-*") if p.is_dir())
    if not folders:
        return Journal(root / f"{prefix}-0001")
    last = Journal(folders[-1])
    if last.fact("finished") is None:
        return last
    last.close()
    return Journal(root / f"{prefix}-{int(folders[-1].name.rpartition('-')[2]) + 1:04d}")


def _record(values: dict[str, Any]) -> RoundRecord:
    read = {
        name: {h: from_dict(c) for h, c in values[name].items()}
        for name in ("counts", "validation")
    }
    return RoundRecord(**(values | read))
