"""Running the training flow from the command line."""

from collections.abc import Sequence
from pathlib import Path

from federated.results import Results
from tasks.environment import hush
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
        hush()
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
