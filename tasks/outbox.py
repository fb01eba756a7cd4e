"""The way from the journal to MLflow: the journal is the queue, a thread of its own empties it.

Training only says that there is something new. The thread reads finished rounds from the journal,
copies several in one go when it is behind, and notes `mirrored` afterwards; what it did not note
is copied again, and counts once (`tasks/tracking.py`). Nothing but round numbers is held here.

When MLflow does not answer, the copy is tried again at growing intervals while training goes on.
Only a run that MLflow never knew at all is not begun. After a fault the run is looked for again:
where it was deleted meanwhile it is restored, or made anew and copied from round 0.
"""

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from federated.errors import WardroundError
from tasks.faults import first_line, reason
from tasks.journal import Journal
from tasks.round_record import RoundRecord
from tasks.telling import tell

THREAD = "mlflow-outbox"
_MIRRORED, _OPENED = "mirrored", "opened"
_AT_ONCE = 64  # rounds read and copied together
_LEAST_PAUSE, _LONGEST_PAUSE = 0.5, 5.0  # seconds between copies: what is finished meanwhile …
_PAUSE = 4  # … goes together; times what a copy took: it has a fifth of one core at most
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 15.0  # seconds, before the copy is tried again


def silent(what: str, journal: Path, error: Exception | None) -> WardroundError:
    """What to tell a person when MLflow does not answer."""
    why = reason(error) if error else "no answer"
    return WardroundError(
        f"MLflow: {what} ({why}). The journal {journal} is whole: the same command goes on from "
        "there once MLflow answers"
    )


class Outbox:
    """Copies the rounds of a journal.

    open_run: begins the run in MLflow, or finds it; returns the ids of its runs. copy: copies
    rounds, whether or not they were copied before. Both are called in the outbox's thread only.
    """

    def __init__(
        self,
        journal: Journal,
        open_run: Callable[[], Sequence[str]],
        copy: Callable[[Sequence[RoundRecord]], None],
    ) -> None:
        self._journal, self._open_run, self._copy = journal, open_run, copy
        self._changed = threading.Condition()
        mirrored = journal.fact(_MIRRORED)
        self._mirrored: int = -1 if mirrored is None else mirrored
        self._known = journal.fact(_OPENED) is not None
        self._last = self._mirrored
        self._open = self._hurry = self._ended = False
        self._error: Exception | None = None
        self._progress = time.monotonic()
        self._thread = threading.Thread(target=self._run, name=THREAD, daemon=True)

    def announce(self, number: int) -> None:
        """Round `number` is in the journal. Does not wait.

        Raises WardroundError if the run could not be begun in MLflow at all.
        """
        with self._changed:
            if self._error is not None and not self._known:
                raise self._silent("the run cannot be begun") from self._error
            self._last = max(self._last, number)
            self._changed.notify_all()
        if not self._thread.ident:
            self._thread.start()

    def drain(self, seconds: float) -> None:
        """Wait until everything is copied.

        Raises WardroundError after so many seconds without any progress.
        """
        if not self._thread.ident:
            self._thread.start()
        with self._changed:
            self._hurry, self._progress = True, time.monotonic()
            self._changed.notify_all()
            while not self._open or self._mirrored < self._last:
                left = self._progress + seconds - time.monotonic()
                if left <= 0 or (self._error is not None and not self._known):
                    what = f"rounds after {self._mirrored} are not copied"
                    raise self._silent(what) from self._error
                self._changed.wait(left)

    def opened(self, seconds: float) -> bool:
        """Wait so long at most until the run is begun in MLflow, or cannot be; is it?"""
        if not self._thread.ident:
            self._thread.start()
        with self._changed:
            self._changed.wait_for(lambda: self._open or self._error is not None, seconds)
            return self._open and self._error is None

    def end(self) -> None:
        """No more copies; one that is under way is not waited for."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _silent(self, what: str) -> WardroundError:
        return silent(what, self._journal.folder, self._error)

    def _run(self) -> None:
        wait = _FIRST_WAIT
        while self._awaken():
            begun = time.monotonic()
            try:
                self._step()
            except Exception as error:  # noqa: BLE001 - whatever a client or a server may raise
                if self._failed(error, wait):
                    return
                wait = min(2 * wait, _LONGEST_WAIT)
            else:
                wait = _FIRST_WAIT
                self._succeeded(time.monotonic() - begun)

    def _awaken(self) -> bool:
        """Wait for work; False at the end."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._ended or not self._open or self._mirrored < self._last
            )
            return not self._ended

    def _step(self) -> None:
        """Begin the run in MLflow, or copy what is next."""
        if not self._open:
            self._begin(list(self._open_run()))
            with self._changed:
                self._open = self._known = True
            return
        records = self._journal.rounds(after=self._mirrored, most=_AT_ONCE)
        if self._ended:
            return
        self._copy(records)
        self._journal.note(_MIRRORED, records[-1].round)
        with self._changed:
            self._mirrored = records[-1].round

    def _begin(self, runs: list[str]) -> None:
        """Note where rounds are copied to. Other runs than before have none of them yet."""
        if self._journal.fact(_OPENED) == runs:
            return
        if self._mirrored >= 0:
            self._journal.note(_MIRRORED, -1)
            with self._changed:
                self._mirrored = -1
        self._journal.note(_OPENED, runs)

    def _succeeded(self, took: float) -> None:
        """Say so, and leave some time for further rounds unless somebody waits."""
        pause = min(max(_LEAST_PAUSE, _PAUSE * took), _LONGEST_PAUSE)
        with self._changed:
            if self._error is not None:
                tell("MLflow answers again")
            self._error, self._progress = None, time.monotonic()
            self._changed.notify_all()
            if self._open and self._mirrored >= 0:
                self._changed.wait_for(lambda: self._hurry or self._ended, pause)

    def _failed(self, error: Exception, wait: float) -> bool:
        """Remember the error and wait; True if it is final."""
        with self._changed:
            if self._error is None and self._known and not self._ended:
                tell(f"MLflow does not answer; rounds are copied later ({first_line(error)})")
            self._error, self._open = error, False
            self._changed.notify_all()
            if not self._known:
                return True
            self._changed.wait_for(lambda: self._ended, min(wait, 1.0) if self._hurry else wait)
            return self._ended
