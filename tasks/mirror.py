"""What MLflow shows of a journal: rounds as they are finished, the rest at the end."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from federated.errors import CorruptDataError
from tasks import registry, tracking
from tasks.code_tags import code_tags
from tasks.export import Scoring
from tasks.hospital_curves import CURVES_FILE, write_curves
from tasks.job import Job
from tasks.journal import Journal
from tasks.lineage import flat
from tasks.mlflow_database import FAULTS
from tasks.outbox import silent
from tasks.quantiles import worst
from tasks.retention import copied_at_once, copied_at_the_end
from tasks.round_record import RoundRecord


class Mirror:
    """A journal's run in MLflow. Whatever is copied twice counts once."""

    def __init__(self, job: Job, journal: Journal) -> None:
        """Begin the run in MLflow, or find it."""
        self._job, self._journal, self._run = job, journal, job.config.run
        self.tracked = _open(job, journal)

    def copy(self, records: Sequence[RoundRecord]) -> None:
        """Metrics of every `run.log_every`-th round, and the weights that are wanted for sure."""
        every = self._run.log_every
        tracking.log_rounds(self.tracked, [r for r in records if r.round % every == 0])
        for record in records:
            if copied_at_once(self._run, record.round):
                self._copy_weights(record)

    def complete(self, rounds: Sequence[RoundRecord]) -> None:
        """What is known only after the last round."""
        if rounds[-1].round % self._run.log_every:
            tracking.log_rounds(self.tracked, rounds[-1:])
        for record in copied_at_the_end(self._run, rounds):
            self._copy_weights(record)
        if not self.tracked.hospitals:
            self._name_the_worst(rounds[-1])
            with tempfile.TemporaryDirectory() as scratch:
                path = Path(scratch) / CURVES_FILE
                write_curves(path, rounds)
                tracking.log_files(self.tracked, [path])

    def log_results(self, baselines: Mapping[str, float], last: RoundRecord, folder: Path) -> None:
        """Baselines as metrics of the last round, and the report's files."""
        tracking.log_baselines(self.tracked, baselines, last)
        tracking.log_files(self.tracked, [folder / n for n in ("metrics.json", "rounds.csv")])

    def log_model(self, program: Scoring, text: str) -> str:
        """Log and register the final model; its URI. text: Markdown about run and model."""
        tracking.describe_run(self.tracked, text)
        (record,) = self._journal.rounds(after=program.round - 1, most=1)
        registered = self._job.config.registered_model
        return registry.log_model(self.tracked, program, record, registered, text)

    def has(self, model_uri: str) -> bool:
        """Is this the run's model, and still there? Not so where the run was made anew."""
        return registry.logged(self.tracked) == model_uri

    def close(self, status: str) -> None:
        """Mark the run FINISHED, FAILED or KILLED."""
        tracking.close_run(self.tracked, status)

    @contextmanager
    def answering(self) -> Iterator[None]:
        """A fault of MLflow is a WardroundError that says how to go on."""
        try:
            yield
        except FAULTS as error:
            what = "the end of the run is not copied"
            raise silent(what, self._journal.folder, error) from error

    def _copy_weights(self, record: RoundRecord) -> None:
        source = self._journal.weights_path(record.weights)
        if source.exists():
            tracking.log_weights(self.tracked, record.round, source)
        elif not self._journal.drops:
            raise CorruptDataError(f"round {record.round}: {source}: no such file")

    def _name_the_worst(self, last: RoundRecord) -> None:
        found = last.metrics().hospitals
        headline = self._job.objective.reading.headline
        names = ", ".join(f"{h} {value:.3f}" for h, value in worst(found, headline))
        tracking.tag_run(self.tracked, f"wardround.worst_hospitals.{headline.name}", names)


def warm(uri: str) -> None:
    """Bring MLflow's own database up to date. A server is left alone until there is a run."""
    if uri.startswith("sqlite:"):
        with suppress(*FAULTS):  # the outbox meets it again, and says what to do
            tracking.make_database(uri)


def _open(job: Job, journal: Journal) -> tracking.TrackedRun:
    config = job.config
    return tracking.open_run(
        uri=job.tracking_uri,
        project=job.place.project,
        experiment=config.experiment,
        name=config.run.name or f"{config.algorithm.rules.label} · {config.model['name']}",
        journal=journal.name,
        hospitals=job.data,
        parameters=flat(config),
        tags={"wardround.fingerprint": job.fingerprint} | code_tags(config, job.place.project),
        hospital_runs=config.run.hospital_runs,
    )
