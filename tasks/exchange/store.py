"""Payloads by their SHA-256, in a place that the coordinator and the hospitals reach.

Each side writes to a folder of its own there, so that rights can be given by folder, and nobody
removes what another one still needs. A place that is full, or gone for a while, is tried again.

fsspec, which MLflow and DVC bring along, writes to a folder or to any of its URLs (s3://, sftp://,
…). A name says what the bytes must be, so whoever reads them notices any other bytes.
"""

import errno
import logging
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import fsspec

from federated.errors import WardroundError
from federated.weights import digest

T = TypeVar("T")
PATIENCE = 60.0
"""Seconds for which a place that is full or gone is tried again."""
_PAUSE = 0.25  # seconds between two tries
_LASTING = (PermissionError, NotADirectoryError, IsADirectoryError, FileExistsError)
_log = logging.getLogger("wardround.exchange")


class ExchangeError(WardroundError):
    """The exchange location, or the Prefect server, is gone, full or empty."""


@dataclass(frozen=True)
class Store:
    """location: a folder's path, or a URL of fsspec. owner: whose payloads, the folder in it.
    patience: seconds. All raise ExchangeError."""

    location: str
    owner: str
    patience: float = PATIENCE

    def prepare(self) -> None:
        """Make the location. Nothing else does: where it is a disk that was taken away, payloads
        must not go into a new folder under its name."""

        def make() -> None:
            self._system.makedirs(self._root, exist_ok=True)

        self._patiently("written", make)

    def put(self, data: bytes) -> str:
        """Write a payload, whole or not at all; its name."""
        name = digest(data)
        self._patiently("written", lambda: self._write(f"{self._root}/{name}", data))
        return name

    def get(self, name: str, most: int) -> bytes:
        """The bytes of that name, of which no more than most + 1 are read.

        They are not compared with the name here: what checks a message does (`admission`).
        """

        def read() -> bytes:
            return bytes(self._system.cat_file(f"{self._root}/{name}", end=most + 1))

        return self._patiently("read", read)

    def drop(self, name: str) -> None:
        """Remove what nobody needs any more; it may be gone already."""

        def remove() -> None:
            if self._system.exists(f"{self._root}/{name}"):
                self._system.rm_file(f"{self._root}/{name}")

        self._patiently("removed", remove)

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

    def _write(self, path: str, data: bytes) -> None:
        system = self._system
        if system.exists(path):
            return
        if not system.exists(self._root):
            with suppress(FileExistsError):  # another thread was first
                system.mkdir(self._root, create_parents=False)
        beside = f"{self._root}/.{secrets.token_hex(8)}"
        try:
            system.pipe_file(beside, data)
            system.mv(beside, path)
        except OSError:
            with suppress(OSError):  # what is said is why it could not be written
                system.rm_file(beside)
            raise

    def _patiently(self, what: str, call: Callable[[], T]) -> T:
        until, told = time.monotonic() + self.patience, False
        while True:
            try:
                return call()
            except (OSError, ValueError, ImportError) as error:
                if time.monotonic() >= until or not self._passes(error):
                    raise self._lost(what, error) from error
                if not told:
                    _log.warning(
                        "%s; tried again for %.0f s", self._lost(what, error), self.patience
                    )
                told = True
            time.sleep(_PAUSE)

    def _passes(self, error: Exception) -> bool:
        """May it be another answer in a moment? Not if the place is there, and the payload not."""
        if isinstance(error, FileNotFoundError):
            try:
                return not self._system.exists(self._root)
            except OSError:
                return True
        return isinstance(error, OSError) and not isinstance(error, _LASTING)

    def _lost(self, what: str, error: Exception) -> ExchangeError:
        full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
        advice = "it is full: make room there" if full else "is it there, and may you use it?"
        return ExchangeError(
            f"exchange location {self.location}: a payload cannot be {what} "
            f"({type(error).__name__}: {error}); {advice}"
        )
