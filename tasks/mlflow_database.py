"""MLflow's own database in a file: made whole or not at all, by one process."""

import logging
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from federated.errors import WardroundError
from tasks.environment import hushed
from tasks.faults import reason

FAULTS = (MlflowException, SQLAlchemyError, OSError)
"""What a silent or refusing MLflow raises."""
_SQLITE, _HALF = "sqlite:///", ".mlflow.db-"


def client_of(uri: str) -> MlflowClient:
    """A client of the tracking server or the database file, which is made where it is not there.

    Raises one of FAULTS.
    """
    if (path := database_of(uri)) is not None:
        _make(path)
        if hushed():  # it logs a traceback of what it raises as well
            logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    return MlflowClient(uri)


def database_of(uri: str) -> Path | None:
    """The database's file; None where it is a server's."""
    return Path(uri.removeprefix(_SQLITE)) if uri.startswith(_SQLITE) else None


@contextmanager
def answering(uri: str) -> Iterator[None]:
    """A fault of MLflow is a WardroundError that says what to do."""
    try:
        yield
    except FAULTS as error:
        raise WardroundError(f"MLflow at {uri}: {reason(error)}") from error


def _make(path: Path) -> None:
    """MLflow makes table after table: half of them are of no use to anyone. So they are made
    beside their place, by whoever comes first."""
    if _there(path):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name("mlflow.db.lock")):
        for left in path.parent.glob(f"{_HALF}*"):  # of a command that was killed
            shutil.rmtree(left)
        if _there(path):
            return
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=_HALF) as scratch:
            made = Path(scratch) / path.name
            MlflowClient(f"{_SQLITE}{made}").search_experiments(max_results=1)
            made.replace(path)


def _there(path: Path) -> bool:
    """Are there tables? SQLite makes an empty file of whatever is only looked at."""
    return path.exists() and path.stat().st_size > 0
