"""Which finished round is the run's result, and whether the run stops early."""

from collections.abc import Sequence

from federated.config import RunConfig
from federated.counts import merge
from federated.errors import ConfigError
from federated.stopping import Values, best, exhausted
from tasks.journal import Journal, RoundRecord


def kept(run: RunConfig, rounds: Sequence[RoundRecord]) -> RoundRecord:
    """The round whose model is the result: the tuned one, the best on validation rows, or the
    last, as `run.keep` says."""
    if rounds[-1].tuned or run.keep == "last":
        return rounds[-1]
    values, higher = _validation(run, rounds)
    return rounds[best(values, higher_is_better=higher)]


def stops(run: RunConfig, journal: Journal) -> bool:
    """Has `run.patience` run out? Also true once the hospitals have tuned their models.

    Without patience the journal is not read: that would grow with every round.
    """
    if run.patience is None:
        return False
    rounds = journal.rounds()
    if rounds[-1].tuned:
        return True
    values, higher = _validation(run, rounds)
    return exhausted(values, run.patience, higher_is_better=higher)


def _validation(run: RunConfig, rounds: Sequence[RoundRecord]) -> tuple[Values, bool]:
    """`run.best_by` over all validation rows after each round, and whether higher is better.

    Raises ConfigError where there are no validation rows or no such metric.
    """
    merged = [merge(list(record.validation.values())) for record in rounds if record.validation]
    if len(merged) < len(rounds):
        raise ConfigError("run.keep best and run.patience need data.validation_fraction above 0")
    reading = merged[0].reading
    names = [m.name for m in reading.measures if m.higher_is_better is not None]
    if run.best_by not in names:
        raise ConfigError(f"run.best_by: no metric {run.best_by!r}; valid: {', '.join(names)}")
    values = [counts.metrics().values[run.best_by] for counts in merged]
    return values, bool(reading.measure(run.best_by).higher_is_better)
