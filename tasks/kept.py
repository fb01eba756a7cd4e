"""Which finished round is the run's result, and whether the run stops early."""

from collections.abc import Sequence

from federated.config import RunConfig
from federated.counts import merge
from federated.errors import ConfigError
from federated.stopping import Values, best, exhausted
from tasks.journal import Journal
from tasks.round_record import RoundRecord


def kept(run: RunConfig, rounds: Sequence[RoundRecord]) -> RoundRecord:
    """The round whose model is the result: the tuned one, the best on validation rows, or the
    last, as `run.keep` says."""
    return rounds[-1] if rounds[-1].tuned or run.keep == "last" else best_round(run, rounds)


def best_round(run: RunConfig, rounds: Sequence[RoundRecord]) -> RoundRecord:
    """The round with the best `run.best_by` on validation rows; a tuned round is none of them."""
    candidates = [record for record in rounds if not record.tuned]
    values, higher = _validation(run, candidates)
    return candidates[best(values, higher_is_better=higher)]


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


def validation_value(run: RunConfig, record: RoundRecord) -> tuple[float | None, bool]:
    """`run.best_by` over all validation rows after a round, and whether higher is better.

    Raises ConfigError where there are no validation rows or no such metric.
    """
    validation = record.validation
    if not validation:
        raise ConfigError(
            "run.keep best, run.keep_weights best and run.patience need data.validation_fraction "
            "above 0"
        )
    merged = merge(list(validation.values()))
    names = [m.name for m in merged.reading.measures if m.higher_is_better is not None]
    if run.best_by not in names:
        raise ConfigError(f"run.best_by: no metric {run.best_by!r}; valid: {', '.join(names)}")
    higher = bool(merged.reading.measure(run.best_by).higher_is_better)
    return merged.metrics().values[run.best_by], higher


def _validation(run: RunConfig, rounds: Sequence[RoundRecord]) -> tuple[Values, bool]:
    """`run.best_by` after each round, and whether higher is better."""
    found = [validation_value(run, record) for record in rounds]
    return [value for value, _ in found], found[0][1]
