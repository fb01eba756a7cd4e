"""Why a database, a server or a disk failed, in one line for a person."""

import re

_DATABASE = re.compile(r"\((sqlite3|psycopg2)\.")
_ADVICE = {
    "disk is full": "free some space",
    "No space left": "free some space",
    "File too large": "free some space, or raise the limit of file sizes",
    "disk I/O error": "check the disk's free space and health",
    "database is locked": "another program holds the database; end it, or wait for it",
    "readonly database": "check owner and permissions of the file and its folder",
    "unable to open database": "check owner, permissions and free space of its folder",
    "Permission denied": "check owner and permissions",
    "malformed": "restore the database from a backup",
    "not a database": "restore the database from a backup",
}


def reason(error: BaseException) -> str:
    """The error's kind and first line, without a database's SQL, and what to do where that is
    known."""
    return advised(first_line(error))


def advised(text: str) -> str:
    """`text`, and what to do where that is known."""
    return next((f"{text}; {do}" for sign, do in _ADVICE.items() if sign in text), text)


def first_line(error: BaseException) -> str:
    """The error's kind and the first line of its message, or the one where the database speaks."""
    lines = str(error).strip().splitlines()
    line = next((line for line in lines if _DATABASE.search(line)), lines[0] if lines else "")
    return f"{type(error).__name__}: {line}" if line else type(error).__name__
