"""Settings that must stand before prefect, mlflow or dvc are imported.

No telemetry leaves the machine, MLflow refuses pickled models, and without a Prefect server of
the user's own, Prefect keeps its database in the project.
"""

import os
from pathlib import Path

QUIET = {
    "DO_NOT_TRACK": "1",  # Prefect's SDK, and whoever else respects it
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DVC_NO_ANALYTICS": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # the outbox tries again, and goes on training
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}

LEAN = {
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "100",  # by itself every event is a …
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",  # … transaction of its own
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_ENABLED": "false",  # the event feed
    "PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED": "false",  # automations
    "PREFECT_SERVER_EVENTS_STREAM_OUT_ENABLED": "false",  # pages that watch
    "PREFECT_SERVER_LOGS_STREAM_OUT_ENABLED": "false",
}
"""What a server of one command need not do: of 12 to 25 ms a task run it spends 3 so."""


def keep_quiet() -> None:
    """Set of QUIET what is not set yet; also where no command line of ours began the process."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)


def hush() -> None:
    """Keep logs off the terminal; a Prefect server of the user's own gets the whole log."""
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    os.environ.setdefault("PREFECT_SERVER_LOGGING_LEVEL", "CRITICAL")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")


def hushed() -> bool:
    """Are logs kept off the terminal?"""
    return os.environ.get("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL") == "CRITICAL"


def prepare_environment(project: Path) -> None:
    """Set what is not set yet. A Prefect profile or server of the user's own is left alone."""
    keep_quiet()
    own_server = "PREFECT_API_URL" in os.environ or "PREFECT_HOME" in os.environ
    if not own_server and not (Path.home() / ".prefect" / "profiles.toml").exists():
        os.environ["PREFECT_HOME"] = str(project.resolve() / ".prefect")
    if "PREFECT_API_URL" not in os.environ:
        for name, value in LEAN.items():
            os.environ.setdefault(name, value)
        os.environ.setdefault("PREFECT_SERVER_ALLOW_EPHEMERAL_MODE", "true")
        os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "120")
