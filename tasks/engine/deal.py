"""Work dealt out in shares that take about as long as each other."""

import heapq
from collections.abc import Sequence
from typing import TypeVar

from federated.site import Site
from tasks.engine import Engine

T = TypeVar("T")


def deal(items: Sequence[T], costs: Sequence[float], lanes: int) -> list[list[T]]:
    """At most `lanes` shares, none empty: the costliest first, each to the least burdened
    (Graham 1969, doi 10.1137/0117039). Within a share items keep their order.
    """
    heap: list[tuple[float, int]] = [(0.0, lane) for lane in range(min(lanes, len(items)))]
    shares: list[list[int]] = [[] for _ in heap]
    for index in sorted(range(len(items)), key=lambda i: (-costs[i], i)):
        burden, lane = heapq.heappop(heap)
        shares[lane].append(index)
        heapq.heappush(heap, (burden + costs[index], lane))
    return [[items[i] for i in sorted(share)] for share in shares]


def cut(cohort: Sequence[str], costs: Sequence[float], engine: Engine) -> list[list[str]]:
    """The shares of a round: each hospital alone while they are few, else one share a lane."""
    if len(cohort) <= engine.apart:
        return [[hospital] for hospital in cohort]
    return deal(cohort, costs, engine.lanes)


def who(share: Sequence[str], number: int, shares: int) -> str:
    """What Prefect's page calls a share: its hospital, or how many they are."""
    return share[0] if len(share) == 1 else f"{len(share)} hospitals, share {number} of {shares}"


def rows_trained(site: Site) -> int:
    """What a hospital's round costs: the rows that it goes through."""
    rows, rule = site.rows.train, site.algorithm.local
    return int(rule.step_count(rows) * min(rows, getattr(rule, "batch_size", None) or rows))
