"""A project that was moved, or restored elsewhere: MLflow's database names files by absolute paths.

Where runs and models have their files stands in the database as it was when they were made. In
another place they cannot be loaded, or, of a copy, are the original's.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from federated.errors import DataError, WardroundError
from tasks.faults import reason
from tasks.lasting import lasting
from tasks.lineage import tracking_uri

COMMAND = "wardround relocate"
BACKUP = "mlflow.db.before-relocate"
_ARTIFACTS = "artifacts"  # the folder below mlruns/ that our experiments keep files in
_BUSY = 10.0  # seconds to wait for another command that writes


def former(project: Path) -> list[Path]:
    """The `mlruns` folders elsewhere that the project's own MLflow database still names.

    Raises DataError if it cannot be read.
    """
    database, here = _database(project), _folder(project)
    if not database.is_file():
        return []
    try:
        with closing(sqlite3.connect(f"file:{quote(str(database))}?mode=ro", uri=True)) as known:
            return [folder for folder in _named(known) if folder != here]
    except sqlite3.DatabaseError as error:
        raise DataError(f"{database}: {reason(error)}") from error


def require_here(uri: str, project: Path) -> None:
    """Raise WardroundError where MLflow's own database would put files where the project was."""
    places = former(project) if uri == tracking_uri(None, project) else []
    if places:
        raise WardroundError(
            f"{_database(project)} was made at {places[0]}, and names its files there: this "
            f"project was moved or copied. `{COMMAND}` makes it name them here"
        )


def relocate(project: Path) -> int:
    """Make the database name files where they are now; how many entries were changed. A copy of
    the database as it was stays beside it.

    Raises DataError where nothing was moved, the files are not here, or the database is in use.
    """
    database, here = _database(project), _folder(project)
    places = former(project)
    if not places:
        raise DataError(f"{database}: names no files elsewhere; there is nothing to do")
    if not (here / _ARTIFACTS).is_dir():
        raise DataError(f"{here / _ARTIFACTS}: no such folder; bring it here, beside the database")
    try:
        with closing(sqlite3.connect(database, timeout=_BUSY)) as known:
            with closing(sqlite3.connect(here / BACKUP)) as copy:
                known.backup(copy)
            with known:
                return sum(_rename(known, place, here) for place in places)
    except sqlite3.Error as error:
        raise DataError(f"{database}: {error}; end what uses it, then `{COMMAND}` again") from error


def _rename(known: sqlite3.Connection, old: Path, new: Path) -> int:
    """Replace a folder's name where a text begins with it, as URI or as path."""
    changed = 0
    for before, after in ((old.as_uri(), new.as_uri()), (str(old), str(new))):
        for table, column in _texts(known):
            done = known.execute(
                f'UPDATE "{table}" SET "{column}" = ? || substr("{column}", ?) '
                f'WHERE substr("{column}", 1, ?) = ?',
                (after, len(before) + 1, len(before) + 1, f"{before}/"),
            )
            changed += done.rowcount
    return changed


def _texts(known: sqlite3.Connection) -> Iterator[tuple[str, str]]:
    """(table, column) of every column of texts."""
    tables = known.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    for (table,) in tables:
        for _, column, kind, *_ in known.execute(f'PRAGMA table_info("{table}")').fetchall():
            if kind.upper().startswith(("VARCHAR", "TEXT")):
                yield table, column


def _named(known: sqlite3.Connection) -> list[Path]:
    """The folders of the experiments that Wardround made."""
    try:
        rows = known.execute("SELECT DISTINCT artifact_location FROM experiments").fetchall()
    except sqlite3.OperationalError:  # no tables yet: another command makes them just now
        return []
    paths = [Path(unquote(urlsplit(uri).path)) for (uri,) in rows if uri.startswith("file:///")]
    return sorted({path.parent for path in paths if path.parts[-2:] == ("mlruns", _ARTIFACTS)})


def _database(project: Path) -> Path:
    return _folder(project) / "mlflow.db"


def _folder(project: Path) -> Path:
    return (lasting(project) / "mlruns").resolve()
