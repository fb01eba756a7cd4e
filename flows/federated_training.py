"""One federation, from configuration to registered model, as one Prefect flow.

The loop is the algorithm of McMahan et al. 2017 (arXiv:1602.05629), algorithm 1, with its parts
replaceable: local × aggregation × server. One task run per hospital and round; no subflow.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from prefect import flow
from prefect.runtime import flow_run
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from federated.checks import check_update
from federated.config import load
from federated.initial import weights_of
from federated.results import Results
from federated.seeds import generator
from federated.types import Update, Weights
from flows.baselines import compare
from tasks.announce import announce
from tasks.job import Job, cores, load_job
from tasks.journal import Journal, open_journal
from tasks.outcome import write_results
from tasks.progress import TrainingProgress
from tasks.record import Recorder, recorder
from tasks.rounds import aggregate, evaluate, train, unseen


def _name() -> str:
    """The flow run's name on the Prefect page: what is trained, on which data."""
    given = flow_run.parameters
    config = load(Path(given["project"]) / given["params"], given["overrides"])
    return config.run.name or f"{config.algorithm.rules.label} · {config.data.dataset}"


_RUNNER: TaskRunner[Any] = ThreadPoolTaskRunner(max_workers=cores())


@flow(
    name="federated-training",
    flow_run_name=_name,
    task_runner=_RUNNER,
    persist_result=False,
)
def federated_training(
    params: str = "params.yaml",
    overrides: Sequence[str] = (),
    out: str = "reports",
    project: str = ".",
    report: bool = True,
) -> Results:
    """Train over the hospitals of `params`, resume what was cut off, and write the results.

    params and out are paths inside `project`; overrides are `section.key=value`;
    report=False leaves report.html out.
    """
    root = Path(project).resolve()
    config = load(root / params, overrides)
    job = load_job(config, root)
    with open_journal(job.place.journals, job.fingerprint) as journal:
        with recorder(job, journal) as to:
            weights = federate(job, journal, to)
            compared = compare(job, journal)
            found = write_results(root / out, job, journal, compared)
            if report:
                from tasks.report import render  # brings matplotlib, which nothing else needs

                render(root / out)
            to.finish(found, weights, root / out)
            announce(found)
        journal.note("finished", True)  # after MLflow's run is closed: nobody resumes it again
    return found


def federate(job: Job, journal: Journal, to: Recorder) -> Weights:
    """Rounds of select → train each → check → aggregate → server step → evaluate → record."""
    algorithm, rounds = job.config.algorithm.rules, job.config.run.rounds
    done, weights, state = start(job, journal, to)
    with TrainingProgress(rounds, done, job.objective.reading) as progress:
        for number in range(done + 1, rounds + 1):
            cohort = select(job, number)
            updates = train_each(job, cohort, number, weights, progress)
            checked = [check_update(update, weights) for update in updates]
            step = aggregate(number, algorithm.aggregation, unseen(checked))
            weights, state = algorithm.server.apply(weights, step, state)
            counts = evaluate(number, unseen(list(job.sites.values())), unseen(weights))
            progress.round(number, to.record(number, weights, state, checked, counts))
    return weights


def start(job: Job, journal: Journal, to: Recorder) -> tuple[int, Weights, Weights]:
    """(finished rounds, weights, server state): where the journal left off, or the beginning."""
    finished = journal.rounds()
    if finished:
        last = finished[-1]
        return last.round, journal.load(last.weights), journal.load(last.state)
    weights = weights_of(job.network)
    state = job.config.algorithm.rules.server.init(weights)
    counts = evaluate(0, unseen(list(job.sites.values())), unseen(weights))
    to.record(0, weights, state, [], counts)
    return 0, weights, state


def select(job: Job, number: int) -> list[str]:
    """The cohort of a round."""
    drawn = generator("selection", job.config.run.seed, number)
    cohort: list[str] = job.config.algorithm.rules.selection.select(job.hospitals, drawn)
    return cohort


def train_each(
    job: Job, cohort: Sequence[str], number: int, weights: Weights, progress: TrainingProgress
) -> list[Update]:
    """One task run per hospital, side by side or one after another: the same bytes."""
    updates = []
    if job.config.run.parallel:
        begun = [train.submit(h, number, unseen(job.sites[h]), unseen(weights)) for h in cohort]
        for future in begun:
            updates.append(future.result())
            progress.hospitals(number, len(updates), len(cohort))
        return updates
    for hospital in cohort:
        updates.append(train(hospital, number, unseen(job.sites[hospital]), unseen(weights)))
        progress.hospitals(number, len(updates), len(cohort))
    return updates
