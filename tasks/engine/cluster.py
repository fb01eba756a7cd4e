"""Hospitals are trained and evaluated by the workers of one of Prefect's task runners.

A round's weights are put once for all workers (`post.py`); a task run takes along their name, its
hospitals' names and their own states, and a share's sums come back.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.task_runners import TaskRunner

from federated.errors import WardroundError
from federated.evaluation import groups
from federated.shares import Share
from federated.states import join, part
from federated.types import Order, Weights
from federated.weights import to_bytes
from tasks.engine import FEW, Engine, Evaluation, Trainer, joined
from tasks.engine.deal import deal
from tasks.engine.local import Local
from tasks.engine.post import Started, Ticket
from tasks.engine.remote import Remote, home_of
from tasks.job import Job


@task(
    task_run_name="evaluate · share {share} · round {number:03d}",
    cache_policy=NO_CACHE,
    persist_result=False,
)
def evaluate_share(
    share: str,
    number: int,
    engine: Remote,
    groups: Sequence[Sequence[str]],
    states: Mapping[str, Weights],
) -> list[Evaluation]:
    """Counts of these groups of hospitals."""
    return engine.evaluate(number, groups, states)


class Cluster:
    """The engine over a task runner's workers."""

    def __init__(self, job: Job, started: Started) -> None:
        rules = job.config.algorithm.rules
        self.lanes, self.apart, self.runner = started.workers, FEW, started.runner
        self._local = Local(rules, job.local, lanes=1)
        self._home, self._started = home_of(job), started
        parts = groups(list(job.local.values()))
        self._groups = [[site.hospital for site in group] for group in parts]
        sizes = [sum(len(site.data.test) for site in group) for group in parts]
        self._dealt = deal(range(len(parts)), sizes, self.lanes)
        self._sent: dict[str, tuple[Weights, Ticket]] = {}

    def train(self, cohort: Sequence[str], order: Order, states: Mapping[str, Weights]) -> Share:
        """See `tasks.engine.Trainer`. In this process; workers train what `handed` gives them."""
        return self._local.train(cohort, order, states)

    def evaluate(self, number: int, weights: Weights, states: Mapping[str, Weights]) -> Evaluation:
        """See `tasks.engine.Engine`. One task run a worker; called inside a flow run."""
        remote = Remote(self._home, self._put("weights", weights))
        futures = []
        for place, share in enumerate(self._dealt, start=1):
            asked = [self._groups[i] for i in share]
            own = _personal(states, [h for group in asked for h in group])
            name = f"{place} of {len(self._dealt)}"
            given = {"share": name, "number": number, "engine": remote}
            given |= {"groups": asked, "states": own}
            futures.append(self.runner.submit(evaluate_share, given))
        found: dict[int, Evaluation] = {}
        with self.watched():
            for share, future in zip(self._dealt, futures, strict=True):
                found |= zip(share, future.result(), strict=True)
        return joined([found[i] for i in range(len(self._groups))])

    def remote(self, order: Order) -> tuple[Trainer, Order]:
        """What trains at a worker by this order, and the order without its tensors."""
        extra = self._put("extra", order.extra) if order.extra else None
        trainer = Remote(self._home, self._put("weights", order.weights), extra)
        return trainer, replace(order, weights={}, extra={})

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Say what to do where a worker is lost while its answer is awaited."""
        try:
            yield
        except self._started.lost as error:
            raise WardroundError(
                f"a worker was lost: {error}; out of memory? Give it more, or fewer "
                "engine.workers, and the same command again: it resumes"
            ) from error

    def close(self) -> None:
        """The runner ends with who started it."""
        for _, ticket in self._sent.values():
            self._started.post.forget(ticket)
        self._sent.clear()

    def _put(self, what: str, weights: Weights) -> Ticket:
        """Their ticket, put unless they are there already; nobody reads the last one any more."""
        known = self._sent.get(what)
        if known is not None and known[0] is weights:
            return known[1]
        ticket = self._started.post.put(to_bytes(weights))
        if known is not None:
            self._started.post.forget(known[1])
        self._sent[what] = (weights, ticket)
        return ticket


@dataclass(frozen=True)
class Handed:
    """What a round's task runs get: a trainer, an order and states for each share; runner: where
    they are submitted, None is the flow's own."""

    shares: Sequence[tuple[Trainer, Sequence[str], Order, Mapping[str, Weights]]]
    runner: TaskRunner[Any] | None
    watched: AbstractContextManager[None]


def handed(
    engine: Engine, shares: Sequence[Sequence[str]], order: Order, states: Mapping[str, Weights]
) -> Handed:
    """A round dealt out. In this process all see the same memory; a worker gets what it needs."""
    if not isinstance(engine, Cluster):
        whole = [(engine, share, order, states) for share in shares]
        return Handed(whole, engine.runner, nullcontext())
    trainer, bare = engine.remote(order)
    own = [{h: states[h] for h in share if h in states} for share in shares]
    parts = [(trainer, share, bare, mine) for share, mine in zip(shares, own, strict=True)]
    return Handed(parts, engine.runner, engine.watched())


def _personal(states: Mapping[str, Weights], hospitals: Sequence[str]) -> dict[str, Weights]:
    """What of these hospitals' states evaluation reads: tensors of models of their own."""
    own = {h: part(states.get(h, {}), "personal") for h in hospitals}
    return {h: join(personal=tensors) for h, tensors in own.items() if tensors}
