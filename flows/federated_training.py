"""One federation, from configuration to registered model, as one Prefect flow.

The loop is the algorithm of McMahan et al. 2017 (arXiv:1602.05629), algorithm 1, with its parts
replaceable: local × aggregation × server. One task run per hospital and round; no subflow.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect import flow
from prefect.runtime import flow_run
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from federated.config import Config, load
from federated.federation import Standing, advance, begin, learning, order, select
from federated.initial import weights_of
from federated.results import Results
from federated.shares import Share, joined
from federated.types import Order
from flows.baselines import compare
from tasks.advice import advice
from tasks.announce import announce
from tasks.engine import Engine
from tasks.engine.choose import open_engine
from tasks.engine.cluster import handed
from tasks.engine.deal import cut, rows_trained, who
from tasks.job import Job, cores, load_job
from tasks.journal import Journal, open_journal
from tasks.kept import kept, stops
from tasks.outcome import write_results
from tasks.progress import TrainingProgress, say
from tasks.quorum import enough, shortfall, wait_for_a_person
from tasks.record import Recorder, recorder
from tasks.rounds import aggregate, each, evaluate, train, tune, unseen
from tasks.telling import tell


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
    result_serializer="json",  # of what fails Prefect makes a result all the same
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
    with _job(config, root) as job, open_journal(job.place.journals, job.fingerprint) as journal:
        say([job.coverage[hospital] for hospital in job.hospitals])
        for line in advice(job):
            tell(line)
        with open_engine(job) as (job, engine), recorder(job, journal) as to:
            federate(job, engine, journal, to)
            tune_each(job, engine, journal, to)
            compared = compare(job, journal)
            found = write_results(root / out, job, journal, compared)
            if report:
                from tasks.report import render  # brings matplotlib, which nothing else needs

                render(root / out)
            to.finish(found, root / out)
            announce(found)
        journal.note("finished", True)  # after MLflow's run is closed: nobody resumes it again
    return found


def _job(config: Config, root: Path) -> AbstractContextManager[Job]:
    """Of hospitals here, or of those that join from their own sites."""
    if config.federation.mode == "simulation":
        return nullcontext(load_job(config, root))
    from tasks.deployment import deployed  # what a simulation does not need

    assert flow_run.id is not None
    return deployed(config, root, UUID(flow_run.id))


def federate(job: Job, engine: Engine, journal: Journal, to: Recorder) -> None:
    """Rounds of select → train each → check → aggregate → server step → evaluate → record."""
    algorithm, run, examples = job.config.algorithm.rules, job.config.run, learning(job.sites)
    now = start(job, engine, journal, to)
    with TrainingProgress(run.rounds, now.round, job.objective.reading) as progress:
        while now.round < run.rounds and not stops(run, journal):
            cohort = select(algorithm, job.sites, now, run.seed)
            given = order(algorithm, now, run.rounds)
            whole = train_each(job, engine, cohort, given, now, progress)
            combined = aggregate(
                given.round, unseen(algorithm), unseen([whole]), unseen(now.weights), examples
            )
            now = advance(algorithm, now, whole.states, combined)
            found = evaluate(now.round, engine, now.weights, now.states)
            progress.round(now.round, to.record(now, whole.receipts, found))


def start(job: Job, engine: Engine, journal: Journal, to: Recorder) -> Standing:
    """Where the journal left off, or the beginning."""
    finished = journal.rounds()
    if finished:
        return journal.standing(finished[-1])
    now = begin(job.config.algorithm.rules, weights_of(job.network))
    to.record(now, [], evaluate(0, engine, now.weights, {}))
    return now


def train_each(
    job: Job,
    engine: Engine,
    cohort: Sequence[str],
    given: Order,
    now: Standing,
    progress: TrainingProgress,
) -> Share:
    """One task run per hospital, or per share of many, side by side or not: the same bytes.

    Those at their own sites are asked again where too few answer; then the flow run pauses, until a
    person resumes it. Raises WardroundError where nobody does.
    """
    ask = partial(_asked, job, engine, given, now, progress)
    settings, whole, tries = job.config.federation, joined(ask(cohort)), 0
    while not enough(settings, cohort, whole):
        if tries == settings.retries:
            wait_for_a_person(settings, shortfall(settings, cohort, whole, given.round))
        tries = 0 if tries == settings.retries else tries + 1
        absent = [one.hospital for one in whole.missing]
        whole = joined([replace(whole, missing=()), *ask(absent)])
    return whole


def _asked(
    job: Job,
    engine: Engine,
    given: Order,
    now: Standing,
    progress: TrainingProgress,
    cohort: Sequence[str],
) -> list[Share]:
    shares = cut(cohort, [rows_trained(job.sites[h]) for h in cohort], engine)
    out = handed(engine, shares, given, now.states)
    calls = [
        (who(part, number, len(shares)), given.round, *map(unseen, own))
        for number, (part, own) in enumerate(zip(shares, out.shares, strict=True), start=1)
    ]
    done, trained = 0, list[Share]()
    with out.watched:
        for share in each(train, calls, side_by_side=engine.lanes > 1, runner=out.runner):
            trained.append(share)
            done += len(share.receipts)
            progress.hospitals(given.round, done, len(cohort))
    return trained


def tune_each(job: Job, engine: Engine, journal: Journal, to: Recorder) -> None:
    """If the personal rule asks for it, one more round: each hospital for itself alone."""
    rounds = journal.rounds()
    if rounds[-1].tuned or not job.config.algorithm.rules.personal.tunes:
        return
    now = journal.standing(kept(job.config.run, rounds))
    number = rounds[-1].round + 1
    given = Order(number, now.weights)
    calls = [
        (h, number, unseen(site), unseen(given), unseen(now.of(h))) for h, site in job.local.items()
    ]
    answers = each(tune, calls, side_by_side=job.config.run.parallel)
    tuned = replace(now, round=number, states=dict(zip(job.local, answers, strict=True)))
    found = evaluate(number, engine, tuned.weights, tuned.states)
    to.record(tuned, [], found, tuned=True)
