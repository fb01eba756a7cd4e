"""Recording a round: first the journal, which is the truth, then MLflow's copy of it.

The copy is made by the outbox's thread (`tasks/outbox.py`): training does not wait for MLflow, nor
for its import. At the end everything is copied before the model is logged.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from federated.errors import WardroundError
from federated.federation import Standing
from federated.metrics import Metrics
from federated.results import Results
from federated.states import part
from federated.types import Receipt
from tasks.announce import description
from tasks.engine import Evaluation
from tasks.job import Job
from tasks.journal import Journal
from tasks.kept import kept
from tasks.outbox import Outbox
from tasks.relocation import require_here
from tasks.retention import Retention
from tasks.round_record import RoundRecord
from tasks.stopping import no_more_patience
from tasks.telling import tell

if TYPE_CHECKING:
    from tasks.export import Scoring
    from tasks.mirror import Mirror

_SECONDS_AT_THE_END = 60.0  # without any progress, until MLflow is given up
_SECONDS_AFTER_A_FAULT = 10.0


class Recorder:
    """Commits rounds to a journal and has them copied to MLflow."""

    def __init__(self, job: Job, journal: Journal, patience: float = _SECONDS_AT_THE_END) -> None:
        """patience: seconds that the end of the run waits for an MLflow that does not answer."""
        self._job, self._journal, self._patience = job, journal, patience
        self._mirror: Mirror | None = None
        if job.config.run.keep_weights != "all":
            journal.retain(Retention(job.config.run))
        self._outbox = Outbox(journal, self._open, self._copy)

    def begin(self) -> None:
        """Begin to copy what was left over when an earlier command was cut off."""
        finished = self._journal.rounds()
        if finished:
            self._outbox.announce(finished[-1].round)

    def record(
        self,
        now: Standing,
        updates: Sequence[Receipt],
        found: Evaluation,
        *,
        tuned: bool = False,
    ) -> Metrics:
        """Make a finished round durable; returns its metrics over all hospitals' test rows.

        Raises WardroundError if MLflow refused to begin the run.
        """
        self._journal.commit(now, updates, found.test, found.validation, tuned=tuned)
        self._outbox.announce(now.round)
        assert found.test.sum is not None, "a job has hospitals"
        return found.test.sum.metrics()

    def finish(self, found: Results, folder: Path) -> None:
        """Baselines, report files and the final model; once, even if killed in between.

        Raises WardroundError where MLflow does not answer any more.
        """
        mirror = self._drained(self._patience)
        rounds = self._journal.rounds()
        with mirror.answering():
            mirror.complete(rounds)
            mirror.log_results(_baselines(found), rounds[-1], folder)
            model = self._journal.fact("model")
            if model is None or not mirror.has(model):
                program = self._program(self._journal.standing(kept(self._job.config.run, rounds)))
                self._journal.note("model", mirror.log_model(program, description(found)))

    def close(self, status: str) -> None:
        """Mark the run in MLflow. After a fault MLflow may be silent: the fault is what counts."""
        if status == "FINISHED":
            mirror = self._drained(self._patience)
            with mirror.answering():
                mirror.close(status)
            return
        try:
            mirror = self._drained(_SECONDS_AFTER_A_FAULT)
            with mirror.answering():
                rounds = self._journal.rounds()
                if rounds:
                    mirror.complete(rounds)
                mirror.close(status)
        except WardroundError as error:
            tell(str(error))

    def stop(self) -> None:
        """Mark the run KILLED, and say what is kept. Rounds that MLflow has not got yet wait for
        the same command."""
        rounds = self._journal.rounds()
        if rounds:
            kept = f"round {rounds[-1].round} of {self._job.config.run.rounds} is kept"
            tell(f"stopped: {kept}; the same command goes on from there")
        else:
            tell("stopped before the first round; the same command begins again")
        opened = self._outbox.opened(_SECONDS_AFTER_A_FAULT)
        self._outbox.end()  # which would begin the run again after a fault
        if not opened:
            tell("MLflow does not answer: the run is not marked KILLED there")
            return
        assert self._mirror is not None, "an outbox that is open has begun the run"
        try:
            with self._mirror.answering():
                self._mirror.close("KILLED")
        except WardroundError as error:
            tell(str(error))

    def end(self) -> None:
        """No more copies to MLflow."""
        self._outbox.end()

    def _drained(self, seconds: float) -> "Mirror":
        """MLflow's run, once every round of the journal is copied."""
        self._outbox.drain(seconds)
        assert self._mirror is not None, "an outbox that is drained has begun the run"
        return self._mirror

    def _open(self) -> list[str]:
        from tasks.mirror import Mirror  # brings mlflow: seconds that training need not wait for

        self._mirror = Mirror(self._job, self._journal)
        return self._mirror.tracked.ids

    def _copy(self, records: Sequence[RoundRecord]) -> None:
        assert self._mirror is not None, "the outbox begins the run first"
        self._mirror.copy(records)

    def _program(self, final: Standing) -> "Scoring":
        """The final model to export: one for all hospitals, or each hospital's own."""
        from tasks.export import ByHospital, scoring

        job, personal = self._job, self._job.config.algorithm.rules.personal
        own = {h: part(final.of(h), "personal") for h in job.hospitals}
        models = {h: personal.model(final.weights, own[h]) for h in job.hospitals}
        apart = job.config.data.scaling == "hospital"
        return scoring(
            job.schema,
            job.preprocess,
            job.network,
            list(models.values()) if any(own.values()) else [final.weights],
            ByHospital(job.config.data.hospital_column, job.hospitals)
            if apart or any(own.values())
            else None,
            final.round,
        )


@contextmanager
def recorder(job: Job, journal: Journal) -> Iterator[Recorder]:
    """A recorder of this job; marks the MLflow run FINISHED, FAILED or KILLED at the end."""
    require_here(job.tracking_uri, job.place.project)
    to = Recorder(job, journal)
    try:
        to.begin()
        try:
            yield to
        except Exception:
            to.close("FAILED")
            raise
        to.close("FINISHED")
    except Exception:
        raise
    except BaseException:  # a signal, wherever it came
        no_more_patience()
        to.stop()
        raise
    finally:
        to.end()


def _baselines(found: Results) -> dict[str, float]:
    """`reference_alone/…`, the mean over hospitals, and `reference_pooled/…`, over all rows."""
    values: dict[str, float] = {}
    for measure in found.reading.measures:
        alone, pooled = found.baselines.alone, found.baselines.pooled
        mean = alone.mean[measure.name] if alone else None
        whole = pooled.all[measure.name] if pooled else None
        values |= {f"reference_alone/{measure.name}": mean} if mean is not None else {}
        values |= {f"reference_pooled/{measure.name}": whole} if whole is not None else {}
    return values
