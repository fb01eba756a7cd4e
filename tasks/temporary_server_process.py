"""The process of Prefect's temporary server: it ends with the command that started it.

It serves in a thread and takes no signals: Ctrl-C in a terminal and the end of a service reach
every process of a group at once, and the command still has things to say to its server. The
command ends it by closing the pipe; a command that was killed closes it, too, and is no more this
process's parent. That works wherever there is POSIX.

Several first commands at once would make the database's tables at once, so a lock is held until
they are made.
"""

import os
import select
import signal
import sys
import threading

import uvicorn
from filelock import FileLock
from prefect.server.api import server as api  # seconds, before the lock
from prefect.settings import PREFECT_HOME

_SECONDS_TO_END = 5.0
_SECONDS_TO_BEGIN = 60.0  # making all tables, before which it does not end


def main(parent: int, port: int) -> None:
    """Serve on `port` of 127.0.0.1 until the process `parent` ends or closes the pipe."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    server = uvicorn.Server(
        uvicorn.Config(api.create_app, factory=True, port=port, log_level="error", lifespan="on")
    )
    serving = threading.Thread(target=server.run, daemon=True)
    home = PREFECT_HOME.value()
    home.mkdir(parents=True, exist_ok=True)
    with FileLock(home / "temporary-server.lock"):
        if not _wanted(parent, 0):
            return
        serving.start()
        while serving.is_alive() and not server.started and _wanted(parent, 0.05):
            pass
        if not server.started:
            server.should_exit = True
            serving.join(_SECONDS_TO_BEGIN)
    while serving.is_alive() and _wanted(parent, 1.0):
        pass
    server.should_exit = True
    serving.join(_SECONDS_TO_END)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0 if server.started else 1)


def _wanted(parent: int, seconds: float) -> bool:
    """Wait so long; does the parent still want the server?"""
    closed, _, _ = select.select([sys.stdin], [], [], seconds)
    return not closed and os.getppid() == parent


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
