"""One federation, from configuration to registered model, as one Prefect flow.

The loop is the algorithm of McMahan et al. 2017 (arXiv:1602.05629), algorithm 1, with its parts
replaceable: local × aggregation × server. One task run per hospital and round; no subflow.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from prefect import flow
from prefect.runtime import flow_run
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from federated.config import load
from federated.federation import Standing, advance, begin, checked, order, select
from federated.initial import weights_of
from federated.results import Results
from federated.types import Order, Trained
from flows.baselines import compare
from tasks.announce import announce
from tasks.job import Job, cores, load_job
from tasks.journal import Journal, open_journal
from tasks.kept import kept, stops
from tasks.outcome import write_results
from tasks.progress import TrainingProgress
from tasks.record import Recorder, recorder
from tasks.rounds import aggregate, each, evaluate, train, tune, unseen


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
            federate(job, journal, to)
            tune_each(job, journal, to)
            compared = compare(job, journal)
            found = write_results(root / out, job, journal, compared)
            if report:
                from tasks.report import render  # brings matplotlib, which nothing else needs

                render(root / out)
            to.finish(found, root / out)
            announce(found)
        journal.note("finished", True)  # after MLflow's run is closed: nobody resumes it again
    return found


def federate(job: Job, journal: Journal, to: Recorder) -> None:
    """Rounds of select → train each → check → aggregate → server step → evaluate → record."""
    algorithm, run = job.config.algorithm.rules, job.config.run
    sites, own = list(job.sites.values()), next(iter(job.sites.values())).own
    now = start(job, journal, to)
    with TrainingProgress(run.rounds, now.round, job.objective.reading) as progress:
        while now.round < run.rounds and not stops(run, journal):
            cohort = select(algorithm, job.sites, now, run.seed)
            trained = train_each(job, cohort, order(algorithm, now, run.rounds), now, progress)
            updates = checked(trained, now, own)
            combined = aggregate(now.round + 1, unseen(algorithm), unseen(updates), len(sites))
            now = advance(algorithm, now, trained, combined)
            found = evaluate(now.round, unseen(sites), unseen(now.weights), unseen(now.states))
            progress.round(now.round, to.record(now, updates, found))


def start(job: Job, journal: Journal, to: Recorder) -> Standing:
    """Where the journal left off, or the beginning."""
    finished = journal.rounds()
    if finished:
        return journal.standing(finished[-1])
    now = begin(job.config.algorithm.rules, weights_of(job.network))
    sites = list(job.sites.values())
    to.record(now, [], evaluate(0, unseen(sites), unseen(now.weights), unseen({})))
    return now


def train_each(
    job: Job, cohort: Sequence[str], given: Order, now: Standing, progress: TrainingProgress
) -> list[Trained]:
    """One task run per hospital, side by side or one after another: the same bytes."""
    calls = [
        (h, given.round, unseen(job.sites[h]), unseen(given), unseen(now.of(h))) for h in cohort
    ]
    trained: list[Trained] = []
    for answer in each(train, calls, side_by_side=job.config.run.parallel):
        trained.append(answer)
        progress.hospitals(given.round, len(trained), len(cohort))
    return trained


def tune_each(job: Job, journal: Journal, to: Recorder) -> None:
    """If the personal rule asks for it, one more round: each hospital for itself alone."""
    rounds = journal.rounds()
    if rounds[-1].tuned or not job.config.algorithm.rules.personal.tunes:
        return
    now = journal.standing(kept(job.config.run, rounds))
    number = rounds[-1].round + 1
    given = Order(number, now.weights)
    calls = [
        (h, number, unseen(site), unseen(given), unseen(now.of(h))) for h, site in job.sites.items()
    ]
    answers = each(tune, calls, side_by_side=job.config.run.parallel)
    tuned = replace(now, round=number, states=dict(zip(job.sites, answers, strict=True)))
    sites = list(job.sites.values())
    found = evaluate(number, unseen(sites), unseen(tuned.weights), unseen(tuned.states))
    to.record(tuned, [], found, tuned=True)
