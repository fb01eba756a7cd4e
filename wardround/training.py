"""Running the training flow from the command line."""

import os
from collections.abc import Sequence
from pathlib import Path

from federated.results import Results
from wardround.folders import require_writable


def run_training(
    params: Path, overrides: Sequence[str], out: Path, report: bool, verbose: bool
) -> Results:
    """Run the flow here, with Prefect's own temporary server unless PREFECT_API_URL names one.

    Raises DataError before anything runs if the reports or the journal cannot be written.
    """
    for folder in (out, Path("mlruns"), Path(".prefect")):
        require_writable(folder)
    if not verbose:
        # the console only: a server of the user's own gets the whole log
        os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
        os.environ.setdefault("PREFECT_SERVER_LOGGING_LEVEL", "CRITICAL")
        os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    from flows.federated_training import federated_training
    from tasks.server import prefect_server

    with prefect_server(Path.cwd()):
        return federated_training(
            params=str(params),
            overrides=list(overrides),
            out=str(out),
            project=str(Path.cwd()),
            report=report,
        )
