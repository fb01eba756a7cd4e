"""`run.keep_weights`: which rounds' files the journal keeps, and which weights MLflow gets.

Whatever is asked for, the journal keeps what it needs itself: the initial weights, from which
baselines start; all of the last round, from which a killed run goes on; and, with `run.keep: best`,
all of the best round so far.
"""

from collections.abc import Sequence

from federated.config import EveryRound, LastRounds, RunConfig
from tasks.kept import best_round, validation_value
from tasks.round_record import RoundRecord


class Retention:
    """Told of every finished round in order, it says which files nobody needs any more."""

    def __init__(self, run: RunConfig) -> None:
        self._run = run
        self._chooses = "best" in (run.keep, run.keep_weights)
        self._best: tuple[float, int] | None = None
        self._weights: dict[int, str] = {}
        self._files: dict[int, set[str]] = {}

    @property
    def files(self) -> set[str]:
        """Digests of all that is needed now."""
        return set().union(*self._files.values())

    def after(self, record: RoundRecord) -> set[str]:
        """Digests that are no more needed now that this round is finished."""
        if self._run.keep_weights == "all":
            return set()
        before = self.files
        if self._chooses and not record.tuned:
            self._compare(record)
        self._weights[record.round], self._files[record.round] = record.weights, record.files
        whole = {record.round, self._best[1] if self._best else record.round}
        for number in list(self._files):
            if number in whole:
                continue
            if self._asked_for(number, record.round):
                self._files[number] = {self._weights[number]}
            else:
                del self._files[number], self._weights[number]
        return before - self.files

    def _compare(self, record: RoundRecord) -> None:
        """The first of equally good rounds is the best, as `federated.stopping.best` has it."""
        value, higher = validation_value(self._run, record)
        if value is None:
            return
        good = value if higher else -value
        if self._best is None or good > self._best[0]:
            self._best = good, record.round

    def _asked_for(self, number: int, last: int) -> bool:
        keep = self._run.keep_weights
        if isinstance(keep, EveryRound):
            return number % keep.every == 0
        return number == 0 or (isinstance(keep, LastRounds) and number > last - keep.last)


def copied_at_once(run: RunConfig, number: int) -> bool:
    """Are this round's weights copied to MLflow as soon as it is finished?"""
    keep = run.keep_weights
    return keep == "all" or (isinstance(keep, EveryRound) and number % keep.every == 0)


def copied_at_the_end(run: RunConfig, rounds: Sequence[RoundRecord]) -> list[RoundRecord]:
    """The rounds whose weights are copied to MLflow only once it is known which they are."""
    keep = run.keep_weights
    if keep == "best":
        return [best_round(run, rounds)]
    return list(rounds[-keep.last :] if isinstance(keep, LastRounds) else rounds[-1:])
