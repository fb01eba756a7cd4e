"""A PostgreSQL server of a test's own, where PostgreSQL is installed."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers import free_port

_USER = pwd.getpwnam("nobody")  # PostgreSQL does not run as root
_SUPERUSER = "wardround"


def programs() -> Path | None:
    """The folder of initdb and pg_ctl; Debian keeps it off the PATH."""
    found = shutil.which("initdb")
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    where = Path(found).resolve() if found else (debian[-1] if debian else None)
    return where.parent if where else None


@contextmanager
def postgres(where: Path, folder: Path, word: str) -> Iterator[str]:
    """where: of its programs; word: the password. Gives the server's address,
    `USER:PASSWORD@HOST:PORT`; it listens on loopback, and ends with the context."""
    port = free_port()
    folder.mkdir()
    (folder / "word").write_text(word)
    data = folder / "data"
    made = ["-D", str(data), "-U", _SUPERUSER, "-A", "scram-sha-256", "--no-sync"]
    settings = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
    if os.geteuid() == 0:
        for path in (folder, folder / "word"):
            os.chown(path, _USER.pw_uid, _USER.pw_gid)
    _run(where / "initdb", *made, f"--pwfile={folder / 'word'}")
    _run(
        where / "pg_ctl", "-D", str(data), "-o", settings, "-l", str(folder / "log"), "-w", "start"
    )
    try:
        yield f"{_SUPERUSER}:{word}@127.0.0.1:{port}"
    finally:
        _run(where / "pg_ctl", "-D", str(data), "-m", "immediate", "-w", "stop")


def _run(program: Path, *arguments: str) -> None:
    root = os.geteuid() == 0
    subprocess.run(
        [str(program), *arguments],
        check=True,
        stdout=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
        user=_USER.pw_uid if root else None,
        group=_USER.pw_gid if root else None,
        extra_groups=[] if root else None,
        cwd="/",
        timeout=120,
    )
