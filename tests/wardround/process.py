"""A command that goes on until it is ended, and every process it started."""

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.wardround.command import SCRIPT, environment


@dataclass(frozen=True)
class Running:
    """A command under way; its output goes to a file."""

    process: subprocess.Popen[bytes]
    log: Path

    def wait_until(self, true: Callable[[], bool], seconds: float) -> None:
        """Look four times a second; fail with its output after `seconds`, or if it ended."""
        until = time.monotonic() + seconds
        while not true():
            if time.monotonic() > until or self.process.poll() is not None:
                raise TimeoutError(f"not within {seconds} s:\n{self.log.read_text()}")
            time.sleep(0.25)

    def says(self, text: str, seconds: float = 300) -> None:
        """Wait until its output has `text`."""
        self.wait_until(lambda: text in self.log.read_text(), seconds)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send the signal; its exit code, once it and all its descendants have ended."""
        everyone = family(self.process.pid)
        self.process.send_signal(number)
        code = self.process.wait(timeout=180)
        others = [one for one in everyone if one.pid != self.process.pid]
        _, alive = psutil.wait_procs(others, timeout=120)
        assert not alive, [one.cmdline() for one in alive]
        return code


@contextmanager
def running(project: Path, *arguments: str, **changes: str) -> Iterator[Running]:
    """`wardround …`; it and its children are gone after the block."""
    log = project / "command.log"
    with log.open("w") as file:
        process = subprocess.Popen(
            [SCRIPT, *arguments],
            cwd=project,
            env=environment(**changes),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,  # a signal to the group is not for the tests
        )
    try:
        yield Running(process, log)
    finally:
        left = family(process.pid) if process.poll() is None else []
        for one in left:
            one.kill()
        process.wait(timeout=120)
        psutil.wait_procs(left, timeout=120)


def family(pid: int) -> list[psutil.Process]:
    """A process that we started, and all its descendants."""
    try:
        first = psutil.Process(pid)
        return [first, *first.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
