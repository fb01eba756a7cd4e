"""MLflow's page over this project's database."""

import os
import sys
from pathlib import Path

from federated.config import load
from federated.errors import WardroundError
from tasks.ports import port_is_free
from wardround.folders import require_writable


def serve_mlflow(project: Path, params: Path, port: int) -> None:
    """Become MLflow's server on 127.0.0.1. Raises WardroundError if the port is taken."""
    configured = load(params).run.tracking_uri
    if configured is not None and configured.startswith("http"):
        raise WardroundError(f"run.tracking_uri is a server already: open {configured}")
    if not port_is_free(port):
        raise WardroundError(
            f"port {port} on 127.0.0.1 is in use; end what uses it, or choose another: "
            f"wardround ui --port {port + 1}"
        )
    database = configured or f"sqlite:///{(project / 'mlruns' / 'mlflow.db').resolve()}"
    artifacts = (project / "mlruns" / "artifacts").resolve()
    require_writable(artifacts)
    print(f"MLflow: http://127.0.0.1:{port}", flush=True)
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--workers", "1", "--backend-store-uri", database]
    command += ["--artifacts-destination", artifacts.as_uri()]
    os.execv(sys.executable, command)
