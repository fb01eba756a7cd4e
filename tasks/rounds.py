"""The round's verbs as Prefect tasks, each one call of a pure function.

No result is persisted and nothing is cached: weights and rows stay in this process's memory,
Prefect keeps names, times and states only. Callers hand sites and weights over `unseen`.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar, cast

from prefect import Task, task
from prefect.cache_policies import NO_CACHE
from prefect.task_runners import TaskRunner
from prefect.utilities.annotations import opaque
from prefect.utilities.callables import get_call_parameters

from federated.algorithm import Algorithm
from federated.baselines import Baseline, train_alone, train_plain, train_pooled
from federated.errors import UpdateError, WardroundError
from federated.shares import Share, combine
from federated.site import LocalSite
from federated.types import Aggregate, Order, Weights
from tasks.engine import Engine, Evaluation, Trainer
from tasks.engine.cluster import Cluster

T = TypeVar("T")


def unseen(value: T) -> T:
    """`value` wrapped so that Prefect does not walk through it for futures and states."""
    return cast(T, opaque(value))


def each(
    work: Task[..., T],
    calls: Sequence[tuple[Any, ...]],
    *,
    side_by_side: bool,
    runner: TaskRunner[Any] | None = None,
) -> Iterator[T]:
    """The answers in the order of `calls`, whichever is ready first. runner: where they are
    computed side by side; None is the flow's own."""
    if runner is not None:
        seen = [tuple(map(_seen, given)) for given in calls]
        begun = [runner.submit(work, get_call_parameters(work.fn, given, {})) for given in seen]
    elif side_by_side:
        begun = [work.submit(*given) for given in calls]
    else:
        yield from (work(*given) for given in calls)
        return
    yield from (future.result() for future in begun)


def _seen(value: Any) -> Any:
    """Without `unseen`, which would come out of pickling wrapped twice."""
    return value.unwrap() if isinstance(value, opaque) else value


@task(
    task_run_name="train · {who} · round {number:03d}",
    cache_policy=NO_CACHE,
    persist_result=False,
)
def train(
    who: str,
    number: int,
    engine: Trainer,
    cohort: Sequence[str],
    order: Order,
    states: Mapping[str, Weights],
) -> Share:
    """Local training of these hospitals in one round."""
    try:
        return engine.train(cohort, order, states)
    except OverflowError as error:
        raise diverged(number, error) from error


@task(
    task_run_name="tune · {hospital} · round {number:03d}",
    cache_policy=NO_CACHE,
    persist_result=False,
)
def tune(hospital: str, number: int, site: LocalSite, order: Order, state: Weights) -> Weights:
    """One hospital's training for itself alone; its own state after it."""
    return site.tune(order, state)


@task(task_run_name="aggregate · round {number:03d}", cache_policy=NO_CACHE, persist_result=False)
def aggregate(
    number: int,
    algorithm: Algorithm,
    shares: Sequence[Share],
    weights: Weights,
    examples: Mapping[str, int],
) -> Aggregate:
    """What hospitals sent → one step. weights: that they began from; examples: of all hospitals."""
    try:
        return combine(algorithm, shares, weights, examples)
    except OverflowError as error:
        raise diverged(number, error) from error


def evaluate(
    number: int, engine: Engine, weights: Weights, states: Mapping[str, Weights]
) -> Evaluation:
    """Test and validation counts of every hospital's model: one task run, or one for each worker.

    A cluster's are not submitted from within a task run: its arguments would go along.
    """
    if isinstance(engine, Cluster):
        return engine.evaluate(number, weights, states)
    return evaluate_here(number, unseen(engine), unseen(weights), unseen(states))


@task(
    name="evaluate",
    task_run_name="evaluate · round {number:03d}",
    cache_policy=NO_CACHE,
    persist_result=False,
)
def evaluate_here(
    number: int, engine: Engine, weights: Weights, states: Mapping[str, Weights]
) -> Evaluation:
    """All hospitals' counts by the engine of this process."""
    return engine.evaluate(number, weights, states)


def diverged(number: int, error: OverflowError) -> WardroundError:
    """Updates too large for the exact sum."""
    return WardroundError(f"round {number}: {error}; training diverges: lower algorithm.local.lr")


@task(task_run_name="baseline · {hospital} alone", cache_policy=NO_CACHE, persist_result=False)
def alone(
    hospital: str,
    site: LocalSite,
    algorithm: Algorithm,
    weights: Weights,
    steps: int,
    rounds: int,
) -> Baseline:
    """One hospital's own model, without the others."""
    with _named_baseline():
        return train_alone(site, algorithm, weights, steps, rounds)


@task(task_run_name="baseline · all data pooled", cache_policy=NO_CACHE, persist_result=False)
def pooled(
    sites: Mapping[str, LocalSite],
    algorithm: Algorithm,
    weights: Weights,
    steps: int,
    rounds: int,
) -> Baseline:
    """One model on all rows in one place."""
    with _named_baseline():
        return train_pooled(list(sites.values()), algorithm, weights, steps, rounds)


@task(task_run_name="baseline · plain mean", cache_policy=NO_CACHE, persist_result=False)
def plain(
    sites: Mapping[str, LocalSite], algorithm: Algorithm, weights: Weights, rounds: int, seed: int
) -> Baseline:
    """The same federation without its robust rules."""
    with _named_baseline():
        return train_plain(sites, algorithm, weights, rounds, seed)


@contextmanager
def _named_baseline() -> Iterator[None]:
    """Say that it is a baseline that failed, not the federation."""
    try:
        yield
    except UpdateError as error:
        raise WardroundError(
            f"baseline: {error}. The federation itself is finished; `--set run.baselines=[]` "
            "writes its results without baselines"
        ) from error
