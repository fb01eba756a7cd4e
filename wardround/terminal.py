"""Where the commands' words go: a terminal of any encoding, a file, or a pipe that is closed early.

None of them ends a run.
"""

import codecs
import io
import locale
import os
import sys
from pathlib import Path
from typing import TextIO

_PLAIN = {
    **{"·": "-", "—": "-", "–": "-", "−": "-", "→": "->", "×": "x", "±": "+/-", "…": "..."},
    **{"≥": ">=", "≤": "<=", "≠": "!=", "²": "2", "“": '"', "”": '"', "‘": "'", "’": "'"},
}
"""What is written in place of signs that a terminal does not have; other letters as `\\xf6`."""
_ERRORS = "wardround-plain"


def settle_encoding() -> None:
    """Begin this process again in Python's UTF-8 mode, unless all of it is UTF-8 already.

    Where the locale is another, Python would read and name files by it: a hospital's name would
    come out as other letters, or end the run. Only what is shown stays in the terminal's encoding.
    """
    if sys.flags.utf8_mode or locale.getencoding().lower().replace("-", "") == "utf8":
        return
    shown = os.environ.get("PYTHONIOENCODING", "").partition(":")[0] or locale.getencoding()
    changes = {"PYTHONUTF8": "1", "PYTHONIOENCODING": f"{shown}:backslashreplace"}
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], os.environ | changes)


def take_over() -> None:
    """Let standard output and standard error take whatever is written, and be closed early."""
    codecs.register_error(_ERRORS, _plain)
    sys.stdout, sys.stderr = _lasting(sys.stdout), _lasting(sys.stderr)


class _Lasting(io.FileIO):
    """A file that nobody reads any more swallows the rest."""

    def write(self, data: object) -> int:
        try:
            return super().write(data)  # type: ignore[arg-type]
        except BrokenPipeError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            return super().write(data)  # type: ignore[arg-type]


def _lasting(stream: TextIO | None) -> TextIO:
    if stream is None:  # it was closed when the process began
        return Path(os.devnull).open("w", encoding="utf-8")
    stream.flush()
    raw = _Lasting(stream.fileno(), "w", closefd=False)
    by_line = stream is sys.stderr or raw.isatty()
    buffer = io.BufferedWriter(raw)
    return io.TextIOWrapper(buffer, stream.encoding, _ERRORS, line_buffering=by_line)


def _plain(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    letters = error.object[error.start : error.end]
    escaped = (
        _PLAIN.get(one) or one.encode("ascii", "backslashreplace").decode() for one in letters
    )
    return "".join(escaped), error.end
