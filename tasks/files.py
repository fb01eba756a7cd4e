"""Writing so that a reader never sees half a file, whatever happens in between."""

import os
import tempfile
from pathlib import Path

from federated.errors import DataError

_UMASK = os.umask(0)  # it can only be read by setting it: once, at import
os.umask(_UMASK)


def write_atomic(path: Path, data: bytes, *, durable: bool = False) -> None:
    """Write beside `path`, then rename over it. `durable` also waits for the disk (fsync); the
    new name is durable after `sync_folder`.

    Raises DataError, naming the path, if it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                if durable:
                    file.flush()
                    os.fsync(file.fileno())
            temporary.chmod(0o666 & ~_UMASK)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise DataError(
            f"{path}: cannot be written ({error.strerror}); check the folder's owner, its "
            "permissions and the free space"
        ) from error


def sync_folder(folder: Path) -> None:
    """Wait until the names in the folder are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
