"""What a task run takes along to a worker process, and what it finds there.

A process loads the project's hospitals once, from the project's folder: rows are never sent.
"""

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import torch

from federated.config import parse
from federated.errors import WardroundError
from federated.evaluation import evaluate_group
from federated.shares import Share
from federated.types import Order, Weights
from tasks.engine import Evaluation, packed
from tasks.engine.local import Local
from tasks.engine.post import Ticket, opened
from tasks.job import Job, load_job

_LOADING = threading.Lock()


@dataclass(frozen=True)
class Home:
    """Where a worker finds the job. config: JSON. fingerprint: of what it has to find."""

    project: str
    config: str
    fingerprint: str


def home_of(job: Job) -> Home:
    """The job's own place."""
    values = json.dumps(job.config.model_dump(mode="json"))
    return Home(str(job.place.project), values, job.fingerprint)


@dataclass(frozen=True)
class Remote:
    """Trains and evaluates at a worker, with the weights of one round."""

    home: Home
    weights: Ticket
    extra: Ticket | None = None

    def train(self, cohort: Sequence[str], order: Order, states: Mapping[str, Weights]) -> Share:
        """See `tasks.engine.Trainer`. order: without its tensors."""
        extra = opened(self.extra) if self.extra is not None else {}
        whole = replace(order, weights=opened(self.weights), extra=extra)
        return local(self.home).train(cohort, whole, states)

    def evaluate(
        self, number: int, groups: Sequence[Sequence[str]], states: Mapping[str, Weights]
    ) -> list[Evaluation]:
        """One for each group of hospitals. Raises WardroundError, naming hospital and round."""
        sites, weights = local(self.home).sites, opened(self.weights)
        each = ([sites[h] for h in group] for group in groups)
        return [packed(evaluate_group(group, number, weights, states)) for group in each]


def local(home: Home) -> Local:
    """This process's engine; the first to ask loads it.

    Raises WardroundError where the project's folder holds something else than at home.
    """
    with _LOADING:
        return _loaded(home)


@lru_cache(maxsize=1)
def _loaded(home: Home) -> Local:
    torch.set_num_threads(1)
    job = load_job(parse(json.loads(home.config)), Path(home.project))
    if job.fingerprint != home.fingerprint:
        raise WardroundError(
            f"a worker found other records, settings or another version of Wardround in "
            f"{home.project} than the training process: give all machines the same project folder "
            "under the same path, and install the same version"
        )
    return Local(job.config.algorithm.rules, job.local, lanes=1)
