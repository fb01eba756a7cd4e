"""Points at which a run can be killed: around every durable write of the journal and of MLflow.

A kill is SIGKILL to the own process, so nothing of it runs on: no handler, no `finally`.
"""

import os
import signal
import sqlite3
import threading
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine

from tasks.outbox import THREAD

_WRITES = ("INSERT", "UPDATE", "DELETE")


class KillPoints:
    """Writes the label of every point reached into `log`; dies at the one called `at`."""

    def __init__(self, at: str | None, log: Path) -> None:
        self._at, self._log = at, log
        self._mlflow = {"opening": 0, "closing": 0}
        self._lock = threading.Lock()
        log.write_text("")

    def watch(self) -> None:
        """From now on there are points around every durable write of this process."""
        self._watch_renames()
        self._watch_commits()
        self._watch_mlflow()

    def _journal(self, label: str) -> None:
        self._reach(label)

    def _reach(self, label: str) -> None:
        with self._lock, self._log.open("a") as file:
            file.write(f"{label}\n")
        if label == self._at:
            os.kill(os.getpid(), signal.SIGKILL)

    def _watch_renames(self) -> None:
        """Before and after a file of the journal gets its name: all are written by renaming."""
        rename = os.replace

        def replace(source: Any, target: Any, **options: Any) -> None:
            ours = "journals" in Path(target).parts
            if ours:
                self._journal(f"before naming {Path(target).name[:8]}")
            rename(source, target, **options)
            if ours:
                self._journal(f"after naming {Path(target).name[:8]}")

        os.replace = replace  # type: ignore[assignment]

    def _watch_commits(self) -> None:
        """Before and after each commit of the journal's own database."""
        connect, reach = sqlite3.connect, self._journal

        class Watched(sqlite3.Connection):
            """Remembers what it is about to commit."""

            wrote = ""

            def execute(self, sql: str, given: Any = (), /) -> sqlite3.Cursor:
                if sql.startswith(_WRITES):
                    value = given[1] if given[1].isdigit() else ""
                    self.wrote = f"{sql.split()[2]} {given[0]} {value}".strip()
                return super().execute(sql, given)

            def __exit__(self, *error: Any) -> Literal[False]:
                reach(f"before commit of {self.wrote}")
                result = super().__exit__(*error)
                reach(f"after commit of {self.wrote}")
                return result

        def watched(database: Path, **options: Any) -> sqlite3.Connection:
            return connect(database, factory=Watched, **options)

        sqlite3.connect = watched  # type: ignore[assignment]

    def _watch_mlflow(self) -> None:
        """Before each writing commit of MLflow's database: the outbox's, and those after it."""

        def remember(connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
            if statement.startswith(_WRITES):
                connection.info["writes"] = True

        def commit(connection: Connection) -> None:
            if connection.info.pop("writes", False):
                outbox = threading.current_thread().name == THREAD
                phase = "opening" if outbox else "closing"
                self._mlflow[phase] += 1
                self._reach(f"mlflow commit {phase} {self._mlflow[phase]}")

        event.listen(Engine, "before_cursor_execute", remember)
        event.listen(Engine, "commit", commit)
