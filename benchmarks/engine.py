"""An engine alone: Wardround's rounds without Prefect, journal and MLflow, in a process of its own.

    python -m benchmarks.engine CASE ENGINE ROUNDS

The steps of `flows/federated_training.py`, `federate`, as plain functions; shares are trained
in threads, as the flow's task runs are.
"""

import json
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

from benchmarks.cases import CASES, Case, overrides, shortened
from benchmarks.hospitals import project
from benchmarks.measure import ROOT, Result, answered, run
from federated.config import load
from federated.federation import Standing, advance, begin, learning, order, select
from federated.initial import weights_of
from federated.shares import combine
from tasks.engine import Engine
from tasks.engine.choose import chosen, open_engine
from tasks.engine.deal import cut, rows_trained
from tasks.environment import prepare_environment
from tasks.job import Job, load_job


def alone(case: Case, engine: str | None) -> Result:
    """One run. engine: `engine.name`, None takes what params.yaml says. Raises SubjectError."""
    command = [sys.executable, "-m", "benchmarks.engine", case.name, engine or "", str(case.rounds)]
    return answered(f"engine alone ({engine or 'as set'})", case.name, run(command, ROOT))


def main(arguments: Sequence[str]) -> None:
    """All rounds of a case, then the answer."""
    name, wanted, rounds = arguments
    case = shortened(CASES[name], int(rounds))
    folder = project(case)
    prepare_environment(folder)
    settings = overrides(case) + ([f"engine.name={wanted}"] if wanted else [])
    job = load_job(load(folder / "params.yaml", settings), Path(folder))
    now = begin(job.config.algorithm.rules, weights_of(job.network))
    times: list[float] = []
    accuracy: float | None = None
    with open_engine(job) as (job, engine), ThreadPoolExecutor(engine.lanes) as pool:
        while now.round < case.rounds:
            now = _advanced(job, engine, pool, now)
            found = engine.evaluate(now.round, now.weights, now.states)
            accuracy = found.test.sum.metrics().values["accuracy"] if found.test.sum else None
            times.append(time.perf_counter())
    versions = {"torch": torch.__version__, "engine": chosen(job)}
    print(json.dumps({"times": times, "accuracy": accuracy, "versions": versions}))


def _advanced(job: Job, engine: Engine, pool: ThreadPoolExecutor, now: Standing) -> Standing:
    """One round: select, train each share, aggregate, server step."""
    rules, settings = job.config.algorithm.rules, job.config.run
    cohort = select(rules, job.sites, now, settings.seed)
    given = order(rules, now, settings.rounds)
    parts = cut(cohort, [rows_trained(job.sites[h]) for h in cohort], engine)
    shares = list(pool.map(lambda part: engine.train(part, given, now.states), parts))
    states = {hospital: own for share in shares for hospital, own in share.states.items()}
    combined = combine(rules, shares, now.weights, learning(job.sites))
    return advance(rules, now, states, combined)


if __name__ == "__main__":
    main(sys.argv[1:])
