"""Payloads by their SHA-256, in a place that the coordinator and the hospitals reach.

Each side writes to a folder of its own there, so that rights can be given by folder, and nobody
removes what another one still needs.

fsspec, which MLflow and DVC bring along, writes to a folder or to any of its URLs (s3://, sftp://,
…). A name says what the bytes must be, so whoever reads them notices any other bytes.
"""

import errno
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import fsspec

from federated.errors import WardroundError
from federated.weights import digest


class ExchangeError(WardroundError):
    """The exchange location, or the Prefect server, is gone, full or empty."""


@dataclass(frozen=True)
class Store:
    """location: a folder's path, or a URL of fsspec. owner: whose payloads, the folder in it."""

    location: str
    owner: str

    def put(self, data: bytes) -> str:
        """Write a payload, whole or not at all; its name. Raises ExchangeError."""
        name = digest(data)
        with self._told("written"):
            system, path = self._system, f"{self._root}/{name}"
            if not system.exists(path):
                system.makedirs(self._root, exist_ok=True)
                beside = f"{self._root}/.{name}.{secrets.token_hex(4)}"
                system.pipe_file(beside, data)
                system.mv(beside, path)
        return name

    def get(self, name: str, most: int) -> bytes:
        """The bytes of that name, of which no more than most + 1 are read. Raises ExchangeError.

        They are not compared with the name here: what checks a message does (`admission`).
        """
        with self._told("read"):
            data: bytes = self._system.cat_file(f"{self._root}/{name}", end=most + 1)
        return data

    def drop(self, name: str) -> None:
        """Remove what nobody needs any more; it may be gone already. Raises ExchangeError."""
        with self._told("removed"):
            if self._system.exists(f"{self._root}/{name}"):
                self._system.rm_file(f"{self._root}/{name}")

    @cached_property
    def _place(self) -> tuple[Any, str]:
        system, root = fsspec.core.url_to_fs(self.location)
        return system, f"{root.rstrip('/')}/{self.owner}"

    @property
    def _system(self) -> Any:
        return self._place[0]

    @property
    def _root(self) -> str:
        return self._place[1]

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError, ImportError) as error:
            full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
            advice = "it is full: make room there" if full else "is it there, and may you use it?"
            raise ExchangeError(
                f"exchange location {self.location}: a payload cannot be {what} "
                f"({type(error).__name__}: {error}); {advice}"
            ) from error
