"""Recording a round: first the journal, which is the truth, then MLflow's copy of it.

The copy is made in a thread of its own, one round behind at most, so that training does not wait
for MLflow. A round is copied again if the run was killed before `mirrored` was noted; MLflow
counts it once (see `tasks.tracking`).
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from federated.counts import merge
from federated.federation import Standing
from federated.metrics import Metrics
from federated.results import Results
from federated.site import Evaluated
from federated.states import part
from federated.types import Receipt
from tasks import registry, tracking
from tasks.announce import description
from tasks.export import Scoring, scoring
from tasks.job import Job
from tasks.journal import Journal, RoundRecord
from tasks.kept import kept
from tasks.lineage import flat
from tasks.versions import git_commit


class Recorder:
    """Commits rounds to a journal and mirrors them to a tracked run."""

    def __init__(self, job: Job, journal: Journal, tracked: tracking.TrackedRun) -> None:
        self._job, self._journal, self._tracked = job, journal, tracked
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="mlflow")
        self._pending: tuple[int, Future[None]] | None = None
        mirrored = journal.fact("mirrored")
        for record in journal.rounds()[0 if mirrored is None else mirrored + 1 :]:
            self._mirror(record)

    def record(
        self,
        now: Standing,
        updates: Sequence[Receipt],
        found: Mapping[str, Evaluated],
        *,
        tuned: bool = False,
    ) -> Metrics:
        """Make a finished round durable; returns its metrics over all hospitals' test rows."""
        counts = {h: one.test for h, one in found.items()}
        validation = {h: one.validation for h, one in found.items() if one.validation is not None}
        self._mirror(self._journal.commit(now, updates, counts, validation, tuned=tuned))
        return merge(list(counts.values())).metrics()

    def finish(self, found: Results, folder: Path) -> None:
        """Baselines, report files and the final model; once, even if killed in between."""
        self.flush()
        rounds = self._journal.rounds()
        last = kept(self._job.config.run, rounds)
        tracking.log_baselines(self._tracked, _baselines(found), rounds[-1])
        tracking.log_files(self._tracked, [folder / n for n in ("metrics.json", "rounds.csv")])
        if self._journal.fact("model") is None:
            program = self._program(self._journal.standing(last))
            name, text = self._job.config.registered_model, description(found)
            tracking.describe_run(self._tracked, text)
            self._journal.note("model", registry.log_model(self._tracked, program, name, text))

    def _program(self, final: Standing) -> Scoring:
        """The final model to export: one for all hospitals, or each hospital's own."""
        job, personal = self._job, self._job.config.algorithm.rules.personal
        own = {h: part(final.of(h), "personal") for h in job.hospitals}
        models = {h: personal.model(final.weights, own[h]) for h in job.hospitals}
        apart = job.config.data.scaling == "hospital"
        return scoring(
            job.schema,
            job.preprocess,
            job.network,
            list(models.values()) if any(own.values()) else [final.weights],
            job.hospitals if apart or any(own.values()) else None,
            final.round,
        )

    def flush(self) -> None:
        """Wait for the copy under way. Raises what it raised."""
        if self._pending is not None:
            number, future = self._pending
            future.result()
            self._journal.note("mirrored", number)
            self._pending = None

    def close(self, status: str) -> None:
        """Mark the run in MLflow."""
        self._thread.shutdown(wait=True)
        tracking.close_run(self._tracked, status)

    def _mirror(self, record: RoundRecord) -> None:
        self.flush()
        path = self._journal.weights_path(record.weights)
        future = self._thread.submit(tracking.mirror, self._tracked, record, path)
        self._pending = (record.round, future)


@contextmanager
def recorder(job: Job, journal: Journal) -> Iterator[Recorder]:
    """A recorder of this job; marks the MLflow run FINISHED, FAILED or KILLED at the end."""
    config = job.config
    commit = git_commit(job.place.project)
    tracked = tracking.open_run(
        uri=job.tracking_uri,
        project=job.place.project,
        experiment=config.experiment,
        name=config.run.name or f"{config.algorithm.rules.label} · {config.model['name']}",
        journal=journal.name,
        hospitals=job.data,
        parameters=flat(config),
        tags={"wardround.fingerprint": job.fingerprint}
        | ({"mlflow.source.git.commit": commit} if commit else {}),
    )
    to = Recorder(job, journal, tracked)
    try:
        yield to
    except Exception:
        to.close("FAILED")
        raise
    except BaseException:
        to.close("KILLED")
        raise
    to.close("FINISHED")


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
