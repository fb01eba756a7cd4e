"""`engine.runner: ray`: a Ray cluster, local or running already, through prefect-ray.

The post is Ray's object store: one copy a machine, which its workers share.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray
from prefect_ray import RayTaskRunner

from federated.errors import ConfigError
from tasks.engine.post import Post, Started, Ticket


class Object:
    """A reference into the object store. No dataclass: prefect-ray would look into it and send the
    bytes themselves."""

    def __init__(self, reference: "ray.ObjectRef[bytes]") -> None:
        self.reference = reference

    def __hash__(self) -> int:
        return hash(self.reference)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Object) and self.reference == other.reference

    def read(self) -> bytes:
        """See `Ticket`."""
        return bytes(ray.get(self.reference))


class ObjectStore:
    """The post of a cluster."""

    def put(self, data: bytes) -> Ticket:
        """See `Post`."""
        made: Ticket = Object(ray.put(data))
        return made

    def forget(self, ticket: Ticket) -> None:
        """See `Post`. Ray counts references: it goes with the last of them."""


@contextmanager
def started(workers: int, address: str | None) -> Iterator[Started]:
    """The cluster at `address`, or a local one of `workers` processors.

    Raises ConfigError for an address that does not answer.
    """
    local: dict[str, Any] = {"num_cpus": workers, "include_dashboard": False}
    runner = RayTaskRunner(address, {"log_to_driver": False} | ({} if address else local))
    try:
        runner.__enter__()
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise ConfigError(
            f"engine.address {address}: no Ray cluster answers there ({error}); start one: "
            "`ray start --head`, or set engine.address null for a local one"
        ) from error
    try:
        found = int(ray.cluster_resources().get("CPU", 0))
        post: Post = ObjectStore()
        yield Started(runner, post, max(1, found), (ray.exceptions.RayError,))
    finally:
        runner.__exit__(None, None, None)
