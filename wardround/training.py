"""Running the training flow from the command line."""

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.environment import hush
from tasks.lasting import lasting
from tasks.temporary_server import Begun, begin
from wardround.folders import require_writable

if TYPE_CHECKING:
    from federated.results import Results


def begun_server(params: Path, *, verbose: bool) -> Begun | None:
    """Prefect's temporary server, where there will be something to run; it starts while this
    process imports and reads what it needs, and ends with it."""
    if not verbose:
        hush()
    return begin(Path.cwd()) if params.is_file() else None


def run_training(
    params: Path, overrides: Sequence[str], out: Path, report: bool, server: Begun | None = None
) -> "Results":
    """Run the flow here: on the Prefect server of PREFECT_API_URL, on `server`, or, without
    either, on Prefect's own temporary server.

    Raises DataError before anything runs if the reports or the journal cannot be written.
    """
    for folder in (out, lasting(Path.cwd()) / "mlruns", Path(".prefect")):
        require_writable(folder)
    from flows.federated_training import federated_training
    from tasks.server import prefect_server

    if server is not None:  # it needs some seconds more
        _warm(params, overrides)
    with prefect_server(server):
        return federated_training(
            params=str(params),
            overrides=list(overrides),
            out=str(out),
            project=str(Path.cwd()),
            report=report,
        )


def _warm(params: Path, overrides: Sequence[str]) -> None:
    """Import what the rounds and the end need, and bring MLflow's database up to date, before
    rounds have to share the time."""
    importlib.import_module("torch._dynamo")  # which the export of the final model asks for
    from federated.config import load
    from tasks.lineage import tracking_uri
    from tasks.mirror import warm

    warm(tracking_uri(load(params, overrides).run.tracking_uri, Path.cwd()))
