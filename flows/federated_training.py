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
from federated.selection import Candidates
from federated.site import shared
from federated.types import Order, Trained
from flows.baselines import compare
from tasks.announce import announce
from tasks.job import Job, cores, load_job
from tasks.journal import Journal, Standing, open_journal
from tasks.outcome import write_results
from tasks.progress import TrainingProgress
from tasks.record import Recorder, recorder
from tasks.rounds import aggregate, each, evaluate, train, unseen


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
            final = federate(job, journal, to)
            compared = compare(job, journal)
            found = write_results(root / out, job, journal, compared)
            if report:
                from tasks.report import render  # brings matplotlib, which nothing else needs

                render(root / out)
            to.finish(found, final, root / out)
            announce(found)
        journal.note("finished", True)  # after MLflow's run is closed: nobody resumes it again
    return found


def federate(job: Job, journal: Journal, to: Recorder) -> Standing:
    """Rounds of select → train each → check → aggregate → server step → evaluate → record."""
    algorithm, rounds = job.config.algorithm.rules, job.config.run.rounds
    sites = list(job.sites.values())
    now = start(job, journal, to)
    with TrainingProgress(rounds, now.round, job.objective.reading) as progress:
        for number in range(now.round + 1, rounds + 1):
            cohort = select(job, number, now)
            trained = train_each(job, cohort, order(job, number, now), now, progress)
            expected = shared(now.weights, sites[0].own)
            updates = [check_update(one.update, expected) for one in trained]
            combined = aggregate(number, unseen(algorithm), unseen(updates), len(sites))
            weights, server = algorithm.server.apply(now.weights, combined, now.server)
            states = now.states | {one.update.hospital: one.state for one in trained}
            counts = evaluate(number, unseen(sites), unseen(weights), unseen(states))
            now = Standing(number, weights, server, states)
            progress.round(number, to.record(now, updates, counts))
    return now


def start(job: Job, journal: Journal, to: Recorder) -> Standing:
    """Where the journal left off, or the beginning."""
    finished = journal.rounds()
    if finished:
        return journal.standing(finished[-1])
    weights = weights_of(job.network)
    begin = Standing(0, weights, job.config.algorithm.rules.server.init(weights), {})
    counts = evaluate(0, unseen(list(job.sites.values())), unseen(weights), unseen({}))
    to.record(begin, [], counts)
    return begin


def select(job: Job, number: int, now: Standing) -> list[str]:
    """The cohort of a round."""
    drawn = generator("selection", job.config.run.seed, number)
    candidates = Candidates(
        hospitals=tuple(job.hospitals),
        examples={h: len(site.data.train) for h, site in job.sites.items()},
        round=number,
        seed=job.config.run.seed,
        loss=lambda h: job.sites[h].loss(now.weights, now.states.get(h, {})),
    )
    cohort: list[str] = job.config.algorithm.rules.selection.select(candidates, drawn)
    return cohort


def order(job: Job, number: int, now: Standing) -> Order:
    """What every hospital of the cohort gets."""
    algorithm = job.config.algorithm.rules
    rate = algorithm.schedule.factor(number, job.config.run.rounds)
    return Order(number, now.weights, algorithm.server.broadcast(now.server), rate)


def train_each(
    job: Job, cohort: Sequence[str], given: Order, now: Standing, progress: TrainingProgress
) -> list[Trained]:
    """One task run per hospital, side by side or one after another: the same bytes."""
    calls = [
        (h, given.round, unseen(job.sites[h]), unseen(given), unseen(now.states.get(h, {})))
        for h in cohort
    ]
    trained: list[Trained] = []
    for answer in each(train, calls, side_by_side=job.config.run.parallel):
        trained.append(answer)
        progress.hospitals(given.round, len(trained), len(cohort))
    return trained
