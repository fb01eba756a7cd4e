"""Starting Prefect's temporary server before anything large is imported.

The server needs seconds, and so does importing Prefect and torch: side by side they need half. So
this module imports none of them, and asks for a server only where Prefect surely has no other
settings than the environment's: a profile or a settings file may name a server of the user's own.
"""

import atexit
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tasks.environment import hushed

_ENVIRONMENT = {
    "PREFECT_UI_ENABLED": "0",
    "PREFECT__SERVER_EPHEMERAL": "1",
    "PREFECT__SERVER_FINAL": "1",
}  # as Prefect starts it itself
_EXPLAINS_ITSELF = {
    "PREFECT_SERVER_LOGGING_LEVEL": "ERROR",
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "ERROR",
    "COLUMNS": "1000",  # an error in one line
}  # into a file that is read where it ends unasked
_SETTINGS_FILES = (".env", "prefect.toml")


@dataclass
class Begun:
    """A server on its way up. answered: it is there. said: what it wrote, unless a person reads
    it on the terminal."""

    process: subprocess.Popen[bytes]
    url: str
    said: IO[bytes] | None
    answered: bool = False

    def stop(self) -> None:
        """End it; what it is writing it writes first.

        One that has not answered may be making its tables: it ends after that, and is not waited
        for.
        """
        assert self.process.stdin is not None
        self.process.stdin.close()
        if not self.answered:
            return
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def last_words(self) -> str:
        """The last error that it wrote, or nothing."""
        if self.said is None:
            return ""
        self.said.seek(0)
        lines = self.said.read().decode(errors="replace").splitlines()
        return next((line for line in reversed(lines) if "Error: " in line), "")


def begin(project: Path) -> Begun | None:
    """Start the server, and name it to this process; None where Prefect must be asked.

    Prefect reads PREFECT_API_URL when it is first imported, and sends its last log lines when the
    process ends: the server ends after that.
    """
    if "prefect" in sys.modules or not _surely_temporary(project):
        return None
    begun = start({})
    os.environ["PREFECT_API_URL"] = begun.url
    return begun


def start(settings: Mapping[str, str]) -> Begun:
    """Start a server that ends with this process, however that ends. settings: variables of its
    environment, besides this process's own."""
    port = _free_port()
    module = "tasks.temporary_server_process"
    code = str(Path(__file__).resolve().parents[1])
    path = os.pathsep.join([code, *filter(None, [os.environ.get("PYTHONPATH")])])
    said = tempfile.TemporaryFile() if hushed() else None  # noqa: SIM115 - as long as the server
    logs = _EXPLAINS_ITSELF if said else {}
    process = subprocess.Popen(
        [sys.executable, "-m", module, str(os.getpid()), str(port)],
        env={**os.environ, **_ENVIRONMENT, **settings, **logs, "PYTHONPATH": path},
        stdin=subprocess.PIPE,
        stdout=said,
        stderr=said,
        start_new_session=True,  # Ctrl-C is for the command alone
    )
    begun = Begun(process, f"http://127.0.0.1:{port}/api", said)
    atexit.register(begun.stop)  # before any of Prefect's, so it runs after them
    return begun


def _surely_temporary(project: Path) -> bool:
    home = os.environ.get("PREFECT_HOME")
    if home is None or "PREFECT_API_URL" in os.environ or "PREFECT_PROFILE" in os.environ:
        return False
    if (Path(home) / "profiles.toml").exists() or Path(home).is_file():
        return False
    pyproject = project / "pyproject.toml"
    own = pyproject.is_file() and "tool.prefect" in pyproject.read_text(errors="replace")
    return not own and not any((project / name).exists() for name in _SETTINGS_FILES)


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
