"""What the federation is compared with, trained with the gradient steps that it took.

Each baseline is kept in the journal as soon as it is there, and is not trained again on resuming.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from prefect import Task

from federated.baselines import Baseline
from tasks.job import Job
from tasks.journal import Journal
from tasks.outcome import Comparison, baseline_from_json, baseline_to_json
from tasks.rounds import alone, plain, pooled, unseen

_POOLED, _PLAIN = "pooled", "plain"
Call = tuple[Task[..., Baseline], tuple[Any, ...]]


def compare(job: Job, journal: Journal) -> Comparison:
    """The baselines that `run.baselines` names, side by side or one after another.

    Where robust rules aggregate, what they cost is measured with them.
    """
    wanted = calls(job, journal)
    missing = {name: call for name, call in wanted.items() if journal.fact(name) is None}
    for name, baseline in answers(missing, side_by_side=job.config.run.parallel):
        journal.note(name, baseline_to_json(baseline))
    found = {name: baseline_from_json(journal.fact(name)) for name in wanted}
    together, trusting = found.pop(_POOLED, None), found.pop(_PLAIN, None)
    single = {name.removeprefix("alone/"): b for name, b in found.items()}
    return Comparison(single, together, trusting)


def calls(job: Job, journal: Journal) -> dict[str, Call]:
    """Name in the journal → the task that trains it; the longest one comes first.

    None where hospitals are at their own sites: baselines need rows of all of them here.
    """
    if job.deployed:
        return {}
    algorithm, wanted = job.config.algorithm.rules, job.config.run.baselines
    weights = unseen(journal.load(journal.rounds()[0].weights))
    taken, rounds = steps_by_hospital(journal), job.config.run.rounds
    found: dict[str, Call] = {}
    sites = unseen(job.local)
    if wanted and algorithm.robust:
        done = max(record.round for record in journal.rounds() if not record.tuned)
        found[_PLAIN] = (plain, (sites, algorithm, weights, done, job.config.run.seed))
    if _POOLED in wanted:
        found[_POOLED] = (pooled, (sites, algorithm, weights, sum(taken.values()), rounds))
    for hospital in job.hospitals if "alone" in wanted else []:
        site, steps = unseen(job.local[hospital]), taken.get(hospital, 0)
        found[f"alone/{hospital}"] = (alone, (hospital, site, algorithm, weights, steps, rounds))
    return found


def answers(missing: Mapping[str, Call], *, side_by_side: bool) -> Iterator[tuple[str, Baseline]]:
    """Run the tasks: the longest begins first and is awaited last, so that the order in which
    baselines enter the journal does not depend on timing."""
    if not side_by_side:
        for name, (train, arguments) in missing.items():
            yield name, train(*arguments)
        return
    begun = [(name, train.submit(*arguments)) for name, (train, arguments) in missing.items()]
    for name, future in reversed(begun):
        yield name, future.result()


def steps_by_hospital(journal: Journal) -> dict[str, int]:
    """Gradient steps that each hospital took over all rounds."""
    taken: dict[str, int] = {}
    for record in journal.rounds():
        for hospital, steps in record.steps.items():
            taken[hospital] = taken.get(hospital, 0) + steps
    return taken
