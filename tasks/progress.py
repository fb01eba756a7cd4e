"""What a person sees while a federation trains: a live line on a terminal, log lines elsewhere.

Prefect's page gets a progress artifact, updated at a bounded rate: each update is a request.
"""

import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.logging import get_run_logger
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from federated.metrics import Metrics, Reading
from federated.schema import Coverage
from tasks.coverage import notes, set_aside
from tasks.telling import tell

_SECONDS_BETWEEN_UPDATES = 2.0


class TrainingProgress:
    """Rounds, hospitals done, loss, headline and time left; a context manager."""

    def __init__(self, rounds: int, done: int, reading: Reading) -> None:
        self._headline = reading.headline
        self._rounds = rounds
        self._done = done
        self._live = _bar() if sys.stderr.isatty() else None
        self._line = (
            self._live.add_task("starting", total=rounds, completed=done, note="")
            if self._live
            else None
        )
        self._artifact: UUID | None = None
        self._updated = 0.0

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        created = create_progress_artifact(
            progress=100.0 * self._done / self._rounds,
            key="federated-training",
            description=f"{self._rounds} rounds",
        )
        self._artifact = created if isinstance(created, UUID) else None
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live:
            self._live.stop()

    def hospitals(self, number: int, done: int, cohort: int) -> None:
        """So many of the round's hospitals have answered."""
        if self._live and self._line is not None:
            text = f"round {number}/{self._rounds} · {done}/{cohort} hospitals"
            self._live.update(self._line, description=text)

    def round(self, number: int, result: Metrics) -> None:
        """A round is finished."""
        self._done = number
        label, value = self._headline.label, result[self._headline.name]
        note = f"loss {_figure(result['loss'])} · {label} {_figure(value)}"
        if self._live and self._line is not None:
            self._live.update(self._line, completed=number, note=note)
        else:
            get_run_logger().info("round %d of %d: %s", number, self._rounds, note)
        now = time.monotonic()
        last = number == self._rounds
        if self._artifact and (last or now - self._updated >= _SECONDS_BETWEEN_UPDATES):
            self._updated = now
            update_progress_artifact(self._artifact, progress=100.0 * number / self._rounds)


def say(found: Sequence[Coverage]) -> None:
    """Tell what became of the raw rows."""
    for line in (*notes(found), *set_aside(found)):
        tell(line)


def _bar() -> Progress:
    return Progress(
        TextColumn("[bold]{task.description}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeRemainingColumn(compact=True),
        console=Console(stderr=True),
    )


def _figure(value: float | None) -> str:
    return "—" if value is None else f"{value:.3f}"
