"""`engine.runner: dask`: a Dask cluster, local or running already, through prefect-dask.

The post is a task whose result is the bytes: the scheduler gets them once, workers hand them to
each other. Scattered bytes would be lost with the last worker that has them (Dask's memory manager
leaves only one copy); a task's result the scheduler has made again.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import dask
import distributed
from prefect_dask import DaskTaskRunner

from federated.errors import ConfigError
from tasks.engine.post import Post, Started, Ticket

SECONDS = 10


@dataclass(frozen=True)
class Key:
    """A key of the cluster, and the name of the Dask variable that keeps it."""

    key: str

    def read(self) -> bytes:
        """See `Ticket`. The thread is lent out meanwhile: where a worker was lost, it may be this
        one's turn to make the bytes again."""
        with distributed.worker_client() as client:
            variable = distributed.Variable(self.key, client=client)
            return bytes(variable.get(timeout=SECONDS).result(timeout=6 * SECONDS))


class Kept:
    """The post of a cluster."""

    def __init__(self, client: distributed.Client) -> None:
        self._client = client

    def put(self, data: bytes) -> Ticket:
        """See `Post`."""
        with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1GB"}):
            future = self._client.submit(bytes, data, pure=False)
        self._variable(future.key).set(future)
        ticket: Ticket = Key(future.key)
        return ticket

    def forget(self, ticket: Ticket) -> None:
        """See `Post`."""
        assert isinstance(ticket, Key)
        self._variable(ticket.key).delete()

    def _variable(self, key: str) -> distributed.Variable:
        return distributed.Variable(key, client=self._client)


@contextmanager
def started(workers: int, address: str | None) -> Iterator[Started]:
    """The cluster at `address`, or a local one of `workers` processes of one thread.

    Raises ConfigError for an address that does not answer, or has no workers.
    """
    local: dict[str, Any] = {
        "n_workers": workers,
        "threads_per_worker": 1,
        "dashboard_address": "127.0.0.1:0",
        "host": "127.0.0.1",
    }
    runner = DaskTaskRunner(
        address=address,
        cluster_kwargs=None if address else local,
        client_kwargs={"timeout": SECONDS} if address else None,
    )
    with runner:
        client = _client(runner, address)
        found = sum(client.nthreads().values())
        if not found:
            raise ConfigError(
                f"engine.address {address}: this Dask scheduler has no workers; start some: "
                f"`dask worker {address}`"
            )
        post: Post = Kept(client)
        yield Started(runner, post, found, (distributed.KilledWorker,))


def _client(runner: DaskTaskRunner, address: str | None) -> distributed.Client:
    """The connected client."""
    try:
        return runner.client
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"engine.address {address}: no Dask scheduler answers there within {SECONDS} s "
            f"({error}); start one: `dask scheduler`, or set engine.address null for a local one"
        ) from error
