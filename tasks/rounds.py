"""The round's verbs as Prefect tasks, each one call of a pure function.

No result is persisted and nothing is cached: weights and rows stay in this process's memory,
Prefect keeps names, times and states only. Callers hand sites and weights over `unseen`.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar, cast

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.utilities.annotations import opaque

from federated.algorithm import Algorithm
from federated.baselines import Baseline, train_alone, train_pooled
from federated.counts import Counts
from federated.errors import UpdateError, WardroundError
from federated.site import LocalSite, Site
from federated.types import Update, Weights

T = TypeVar("T")


def unseen(value: T) -> T:
    """`value` wrapped so that Prefect does not walk through it for futures and states."""
    return cast(T, opaque(value))


@task(
    task_run_name="train · {hospital} · round {number:03d}",
    cache_policy=NO_CACHE,
    persist_result=False,
)
def train(hospital: str, number: int, site: Site, weights: Weights) -> Update:
    """One hospital's local training in one round."""
    return site.train(number, weights)


@task(task_run_name="aggregate · round {number:03d}", cache_policy=NO_CACHE, persist_result=False)
def aggregate(number: int, rule: Any, updates: Sequence[Update]) -> Weights:
    """Many updates → one step."""
    try:
        step: Weights = rule.aggregate(updates)
    except OverflowError as error:
        raise WardroundError(
            f"round {number}: {error}; training diverges: lower algorithm.local.lr"
        ) from error
    return step


@task(task_run_name="evaluate · round {number:03d}", cache_policy=NO_CACHE, persist_result=False)
def evaluate(number: int, sites: Sequence[Site], weights: Weights) -> dict[str, Counts]:
    """Test counts of the global model at every hospital."""
    found = {}
    for site in sites:
        try:
            found[site.hospital] = site.evaluate(weights)
        except ValueError as error:
            raise WardroundError(
                f"hospital {site.hospital!r}, round {number}, evaluation: {error}; training "
                "diverges: lower algorithm.local.lr"
            ) from error
    return found


@task(task_run_name="baseline · {hospital} alone", cache_policy=NO_CACHE, persist_result=False)
def alone(
    hospital: str, site: LocalSite, algorithm: Algorithm, weights: Weights, steps: int
) -> Baseline:
    """One hospital's own model, without the others."""
    with _named_baseline():
        return train_alone(site, algorithm, weights, steps)


@task(task_run_name="baseline · all data pooled", cache_policy=NO_CACHE, persist_result=False)
def pooled(
    sites: Mapping[str, LocalSite], algorithm: Algorithm, weights: Weights, steps: int
) -> Baseline:
    """One model on all rows in one place."""
    with _named_baseline():
        return train_pooled(list(sites.values()), algorithm, weights, steps)


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
