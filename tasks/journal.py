"""The run journal: what has happened for sure, and where a killed run goes on.

One folder a run: `journal.db` (SQLite, WAL, synchronous=FULL: a committed row survives a power
cut) and `weights/<sha256>.safetensors`, written and synced before the row that names them. A row
of `rounds` is a finished round; anything else of a round that was cut off leaves no trace and is
done again to the same bytes. MLflow and the reports are readers' copies of this record. Threads
may share a journal.
"""

import json
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from filelock import FileLock, Timeout

from federated.errors import CorruptDataError, DataError, WardroundError
from federated.federation import Standing
from federated.types import Receipt, Weights
from federated.weights import digest, from_bytes, to_bytes
from tasks.faults import reason
from tasks.files import sync_folder, write_atomic
from tasks.packed_counts import Packed
from tasks.packed_states import StateFiles, states_in
from tasks.round_record import RoundRecord, from_row

VERSION = 3
_TABLES = f"""
BEGIN;
CREATE TABLE rounds (round INTEGER PRIMARY KEY, record TEXT NOT NULL, counts BLOB NOT NULL,
    validation BLOB NOT NULL) STRICT;
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
PRAGMA user_version = {VERSION};
COMMIT;
"""
_DROPPED = "dropped"


class Keeps(Protocol):
    """What says which files are needed (`tasks/retention.py`)."""

    @property
    def files(self) -> set[str]:
        """Digests of all that is needed now."""

    def after(self, record: RoundRecord) -> set[str]:
        """Digests that are no more needed now that this round is finished."""


class Journal:
    """An open journal; `open_journal` makes one and holds its lock."""

    def __init__(self, folder: Path) -> None:
        """Open the journal in `folder`, or begin one. Raises CorruptDataError if it is damaged."""
        self.folder = folder
        self._weights = folder / "weights"
        self._weights.mkdir(parents=True, exist_ok=True)
        self._keeps: Keeps | None = None
        self._states = StateFiles(self._store)
        self._synced = False
        self._lock = threading.RLock()
        self._db = sqlite3.connect(folder / "journal.db", check_same_thread=False)
        try:
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._begin()
        except sqlite3.OperationalError as error:  # locked, full, or not to be written
            self._db.close()
            raise self._fault(error) from error
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise CorruptDataError(
                f"{folder / 'journal.db'}: cannot be read ({error}); restore it from a backup, or "
                f"remove {folder} to begin this run again"
            ) from error
        if self.fact("id") is None:
            self.note("id", secrets.token_hex(6))

    def _begin(self) -> None:
        """Make the tables, or see that they are ours; one that is finished is only looked at."""
        found = self._db.execute("PRAGMA user_version").fetchone()[0]
        known = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if not known:
            self._db.executescript(_TABLES)
        elif found != VERSION and self.fact("finished") is None:
            self._db.close()
            raise WardroundError(
                f"{self.folder}: the unfinished journal of another version of Wardround (format "
                f"{found}, this one has {VERSION}); let that version finish it, or remove the "
                "folder to begin this run again"
            )

    @property
    def name(self) -> str:
        """The folder's name and a random part: no journal that takes its place is called so."""
        return f"{self.folder.name}-{self.fact('id')}"

    def commit(
        self,
        now: Standing,
        updates: Sequence[Receipt],
        counts: Packed,
        validation: Packed,
        *,
        tuned: bool = False,
    ) -> RoundRecord:
        """Make a round final: first its weights and states, then the row that names them.

        Files that no round needs any more are deleted after that.
        """
        record = RoundRecord(
            round=now.round,
            weights=self._store(now.weights),
            state=self._store(now.server),
            states=self._states.store(now.states),
            train_loss={u.hospital: u.loss for u in updates},
            steps={u.hospital: u.steps for u in updates},
            sent={u.hospital: u.sent for u in updates},
            packed=counts.data,
            packed_validation=validation.data,
            tuned=tuned,
            time_ms=time.time_ns() // 1_000_000,
        )
        self._sync()
        with self._transaction():
            self._db.execute("INSERT INTO rounds VALUES (?, ?, ?, ?)", record.row())
        if self._keeps is not None:
            self._delete(self._keeps.after(record))
        return record

    def retain(self, keeps: Keeps) -> None:
        """From now on keep the files that are needed, and delete all others."""
        for record in self.rounds():
            keeps.after(record)
        self._keeps = keeps
        self.note(_DROPPED, True)
        present = {path.stem for path in self._weights.glob("*.safetensors")}
        self._delete(present - keeps.files)

    @property
    def drops(self) -> bool:
        """Were weights of some rounds deleted on purpose?"""
        return self.fact(_DROPPED) is not None

    def rounds(self, *, after: int = -1, most: int = -1) -> list[RoundRecord]:
        """All finished rounds, in order; or those after a round, so many at most."""
        query = (
            "SELECT record, counts, validation FROM rounds WHERE round > ? ORDER BY round LIMIT ?"
        )
        with self._lock:
            rows = self._db.execute(query, (after, most)).fetchall()
        return [from_row(row) for row in rows]

    def standing(self, record: RoundRecord) -> Standing:
        """Where the federation stood after this round. Raises CorruptDataError like `load`."""
        states = states_in(record.states, self.load)
        self._states.known(states, record.states)
        return Standing(record.round, self.load(record.weights), self.load(record.state), states)

    def load(self, name: str) -> Weights:
        """The weights or state with this digest.

        Raises CorruptDataError, naming the round, if the file is gone or its bytes differ;
        WardroundError if `run.keep_weights` did not keep it.
        """
        path = self.weights_path(name)
        data = path.read_bytes() if path.is_file() else None
        if data is None or digest(data) != name:
            number = next((r.round for r in self.rounds() if name in r.files), None)
            if data is None and self.drops and not (self._keeps and name in self._keeps.files):
                raise WardroundError(
                    f"round {number}: {path}: deleted as run.keep_weights asked for; "
                    "run.keep_weights all keeps every round's"
                )
            fault = "no such file" if data is None else "its bytes are not those that were written"
            raise CorruptDataError(
                f"round {number}: {path}: {fault}; restore it from a backup, or remove "
                f"{self.folder} to begin this run again"
            )
        return from_bytes(data)

    def weights_path(self, name: str) -> Path:
        """Where the file with this digest lies."""
        return self._weights / f"{name}.safetensors"

    def note(self, name: str, value: Any) -> None:
        """Keep a fact (JSON) under a name, durably."""
        with self._transaction():
            self._db.execute(
                "INSERT INTO facts VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
                (name, json.dumps(value)),
            )

    def fact(self, name: str) -> Any:
        """The fact kept under a name, or None."""
        with self._lock:
            row = self._db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return json.loads(row[0]) if row else None

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock:
            try:
                with self._db:
                    yield
            except sqlite3.OperationalError as error:
                raise self._fault(error) from error

    def _fault(self, error: sqlite3.Error) -> DataError:
        return DataError(
            f"{self.folder / 'journal.db'}: cannot be written ({reason(error)}). Finished rounds "
            "are kept: the same command goes on from there"
        )

    def _store(self, weights: Weights) -> str:
        data = to_bytes(weights)
        name = digest(data)
        if not self.weights_path(name).exists():
            write_atomic(self.weights_path(name), data, durable=True)
            self._synced = False
        return name

    def _sync(self) -> None:
        """One wait for the names of all files of a round; also for what a killed run had named."""
        if not self._synced:
            sync_folder(self._weights)
            self._synced = True

    def _delete(self, names: set[str]) -> None:
        for name in names:
            self.weights_path(name).unlink(missing_ok=True)


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
