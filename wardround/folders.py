"""Can a folder be written? Found out by writing, before hours of training depend on it."""

from pathlib import Path

from tasks.files import write_atomic


def require_writable(folder: Path) -> None:
    """Raise DataError, naming the path, unless a file can be written in `folder`."""
    probe = folder / ".probe"
    write_atomic(probe, b"")
    probe.unlink(missing_ok=True)
