"""Hospitals may answer in any order: the results are the same bytes."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import partial
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from federated.config import Config
from federated.site import LocalSite
from federated.types import Order, Trained, Weights
from flows.federated_training import federated_training
from tasks.job import Job, load_job
from tests.conftest import Project
from tests.flows.aftermath import OUTPUTS, sha256

pytestmark = pytest.mark.slow
HOSPITALS = ("hospital-1", "hospital-2", "hospital-3")
ROUNDS = 3


class Queue:
    """Lets the hospitals of every round answer in one given order."""

    def __init__(self, order: Sequence[str]) -> None:
        self._due = [(number, name) for number in range(1, ROUNDS + 1) for name in order]
        self._changed = threading.Condition()
        self.answered: list[tuple[int, str]] = []

    def answer(self, number: int, name: str) -> None:
        """Wait until it is this hospital's turn in this round."""
        with self._changed:
            turn = self._due.index((number, name))
            if not self._changed.wait_for(lambda: len(self.answered) == turn, timeout=300):
                raise TimeoutError(f"{name} has waited for its turn in round {number}")
            self.answered.append((number, name))
            self._changed.notify_all()


@dataclass(frozen=True)
class QueuedSite(LocalSite):
    """A hospital that trains like any other, and answers when it is its turn."""

    queue: Queue = field(kw_only=True)

    def train(self, order: Order, state: Weights, steps: int | None = None) -> Trained:
        trained = super().train(order, state, steps)
        self.queue.answer(order.round, self.hospital)
        return trained


def queued(site: LocalSite, queue: Queue) -> QueuedSite:
    own = {one.name: getattr(site, one.name) for one in fields(site) if one.init}
    return QueuedSite(**own, queue=queue)


Sites = Mapping[str, LocalSite]
Outputs = Callable[[Callable[[Sites], Sites]], dict[str, str]]


@pytest.fixture
def outputs(
    make_project: Project, train: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> Outputs:
    """Digests of what a federation writes, after a change to its sites."""
    project = make_project(run={"rounds": ROUNDS, "baselines": []}, engine={"workers": 3})
    side_by_side: TaskRunner[Any] = ThreadPoolTaskRunner(max_workers=len(HOSPITALS))
    flow = federated_training.with_options(task_runner=side_by_side)

    def run(change: Callable[[Sites], Sites]) -> dict[str, str]:
        def changed(config: Config, root: Path) -> Job:
            job = load_job(config, root)
            return replace(job, sites=change(job.sites))

        monkeypatch.setattr("flows.federated_training.load_job", changed)
        flow(project=str(project))
        return {name: sha256(project / "reports" / name) for name in OUTPUTS}

    return run


def in_turn(sites: Sites, queue: Queue) -> Sites:
    return {name: queued(site, queue) for name, site in sites.items()}


def test_hospitals_that_answer_in_any_order_give_the_same_bytes(outputs: Outputs) -> None:
    found = {}
    for order in permutations(HOSPITALS):
        queue = Queue(order)
        found[order] = outputs(partial(in_turn, queue=queue))
        assert [name for _, name in queue.answered] == list(order) * ROUNDS
    assert len({tuple(digests.values()) for digests in found.values()}) == 1, found


def test_hospitals_that_are_asked_in_another_order_give_the_same_bytes(outputs: Outputs) -> None:
    def reversed_(sites: Sites) -> Sites:
        return {name: sites[name] for name in reversed(HOSPITALS)}

    assert outputs(reversed_) == outputs(dict)
