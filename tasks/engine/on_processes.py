"""`engine.runner: processes`: Prefect's pool of processes on this machine.

The post is a folder of files, in memory where the machine has /dev/shm.
"""

import tempfile
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from prefect.task_runners import ProcessPoolTaskRunner

from federated.weights import digest
from tasks.engine.post import Post, Started, Ticket

_MEMORY = Path("/dev/shm")


@dataclass(frozen=True)
class File:
    """A file, named by its SHA-256."""

    path: Path

    def read(self) -> bytes:
        """See `Ticket`."""
        return self.path.read_bytes()


@dataclass(frozen=True)
class Folder:
    """The post of one machine."""

    path: Path

    def put(self, data: bytes) -> Ticket:
        """See `Post`."""
        path = self.path / digest(data)
        path.write_bytes(data)
        return File(path)

    def forget(self, ticket: Ticket) -> None:
        """See `Post`."""
        assert isinstance(ticket, File)
        ticket.path.unlink(missing_ok=True)


@contextmanager
def started(workers: int, address: str | None) -> Iterator[Started]:
    """A pool of `workers` processes; it has no address."""
    parent = _MEMORY if _MEMORY.is_dir() else None
    with (
        tempfile.TemporaryDirectory(prefix="wardround-", dir=parent) as folder,
        ProcessPoolTaskRunner(max_workers=workers) as runner,
    ):
        post: Post = Folder(Path(folder))
        yield Started(runner, post, workers, (BrokenProcessPool,))
