"""Memory that several processes share, without a name.

A file that is unlinked before anything is in it: whatever ends the processes, no row of a patient
stays behind.
"""

import mmap
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path


class SharedFile:
    """Bytes that one process writes and others read; it grows as needed.

    Writer and readers take turns; a message elsewhere says how many bytes there are.
    """

    def __init__(self, descriptor: int) -> None:
        """Open by a descriptor that another process handed on."""
        self.descriptor = descriptor
        self._map: mmap.mmap | None = None

    @classmethod
    def create(cls) -> "SharedFile":
        """A new one: in memory where the system can, else an unlinked temporary file."""
        if hasattr(os, "memfd_create"):
            return cls(os.memfd_create("wardround"))
        descriptor, path = tempfile.mkstemp()
        Path(path).unlink()
        return cls(descriptor)

    def write(self, parts: Sequence[bytes]) -> int:
        """Write the parts one after another; how many bytes they are."""
        length = sum(map(len, parts))
        view, start = self._mapped(length), 0
        for part in parts:
            view[start : start + len(part)] = part
            start += len(part)
        return length

    def read(self, length: int) -> bytes:
        """A copy of the first bytes."""
        return self._mapped(length)[:length]

    def view(self, length: int) -> memoryview:
        """The first bytes themselves; the file must not grow while this is used."""
        return memoryview(self._mapped(length))[:length]

    def close(self) -> None:
        """Let go of it; the last process to do so frees the memory."""
        os.close(self.descriptor)

    def _mapped(self, length: int) -> mmap.mmap:
        if self._map is None or len(self._map) < length:
            size = max(length, mmap.PAGESIZE)
            if os.fstat(self.descriptor).st_size < size:
                os.ftruncate(self.descriptor, size)
            self._map = mmap.mmap(self.descriptor, os.fstat(self.descriptor).st_size)
        return self._map
