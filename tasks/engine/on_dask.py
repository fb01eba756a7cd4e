"""`engine.runner: dask`: a Dask cluster, local or running already, through prefect-dask.

The post is Dask's own scatter: the scheduler gets the bytes once, workers hand them to each other.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

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
        """See `Ticket`. Every worker was given them; one that came later, or that took seconds to
        ask, so that Dask saved the memory meanwhile, fetches them again."""
        held = distributed.get_worker().data
        if self.key in held:
            return bytes(held[self.key])
        variable = distributed.Variable(self.key, client=distributed.get_client())
        return bytes(variable.get(timeout=SECONDS).result(timeout=6 * SECONDS))


class Scattered:
    """The post of a cluster."""

    def __init__(self, client: distributed.Client) -> None:
        self._client = client

    def put(self, data: bytes) -> Ticket:
        """See `Post`."""
        (future,) = self._client.scatter([data], broadcast=True, hash=False)
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
        post: Post = Scattered(client)
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
