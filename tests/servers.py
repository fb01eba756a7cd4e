"""Servers as processes of their own, that tests may kill and start again on the same port."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import closing, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import httpx

from tasks.environment import LEAN
from tests.hosts import Host

_START = 120.0  # seconds


def free_port() -> int:
    """A port on loopback that nobody listens on."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Server:
    """health: a URL that answers 200 once it is up. home: folder of its log and data. host: where
    it runs, if not here."""

    command: Sequence[str]
    health: str
    home: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    host: Host | None = None
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command = [sys.executable, "-m", *self.command]
        self.home.mkdir(parents=True, exist_ok=True)
        with (self.home / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                self.host.command(*command) if self.host else command,
                cwd=self.home,
                env={**os.environ, **self.environment},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        end = time.monotonic() + _START
        while not self._answers():
            if time.monotonic() > end or self.process.poll() is not None:
                raise TimeoutError((self.home / "server.log").read_text())
            time.sleep(0.1)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.kill()

    def kill(self) -> None:
        """End it, and all that it started, without a word."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def _answers(self) -> bool:
        try:
            with self.host.inside() if self.host else nullcontext():
                return httpx.get(self.health, timeout=2).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False


def prefect_server(home: Path) -> tuple[Server, str]:
    """A Prefect server with an SQLite database of its own, not started yet; its API's URL."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/api"
    command = ("prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port))
    own = {
        **LEAN,
        "PREFECT_HOME": str(home),
    }  # as the product's own server: a task run costs a fifth
    return Server(command, f"{url}/health", home, own), url


def mlflow_server(home: Path) -> tuple[Server, str]:
    """An MLflow server with an SQLite database of its own, not started yet; its URL."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    kept = ("--backend-store-uri", f"sqlite:///{home / 'mlflow.db'}")
    artifacts = ("--artifacts-destination", str(home / "artifacts"))
    address = ("--host", "127.0.0.1", "--port", str(port), "--workers", "1")
    return Server(("mlflow", "server", *address, *kept, *artifacts), f"{url}/health", home), url
