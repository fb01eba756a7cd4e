"""How a round's weights reach worker processes: put once, read once by every process.

A runner (`on_processes.py`, `on_dask.py`, `on_ray.py`) brings the task runner and its post.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

from prefect.task_runners import TaskRunner

from federated.types import Weights
from federated.weights import from_bytes


class Ticket(Hashable, Protocol):
    """A small name of bytes, pickled with every task run; equal where the bytes are."""

    def read(self) -> bytes:
        """The bytes, at a worker."""


class Post(Protocol):
    """Where the training process puts bytes for its workers."""

    def put(self, data: bytes) -> Ticket:
        """Bring them to where every worker can read them."""

    def forget(self, ticket: Ticket) -> None:
        """Nobody will read them any more."""


@dataclass(frozen=True)
class Started:
    """A task runner that runs, with so many workers at once; lost: what it raises when one dies."""

    runner: TaskRunner[Any]
    post: Post
    workers: int
    lost: tuple[type[Exception], ...]


@lru_cache(maxsize=4)  # of this round and of the last: weights, and what the server rule adds
def opened(ticket: Ticket) -> Weights:
    """The weights of a ticket; a process reads each once."""
    return from_bytes(ticket.read())
