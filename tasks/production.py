"""Servers that are not on this machine: what must stand before anything is sent to one.

Checks of addresses, settings and file modes; `wardround doctor --production` shows them all, and a
deployment refuses to begin without those of the Prefect server.
"""

import ipaddress
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from federated.errors import ConfigError

_OTHERS = stat.S_IRWXG | stat.S_IRWXO
PRIVATE = ("keys", "audit", "state", "data")
"""Folders of a site or coordinator that nobody else need read."""


@dataclass(frozen=True)
class Check:
    """ok: it stands. advice: what to do if not."""

    ok: bool
    what: str
    advice: str


def is_here(url: str) -> bool:
    """Is the server on this machine (a file, SQLite, or a loopback address)?"""
    parts = urlsplit(url)
    if parts.scheme in ("", "file", "sqlite") or parts.hostname in (None, "localhost"):
        return True
    try:
        return ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return False


def prefect_server(url: str, auth: str | None) -> list[Check]:
    """Of the Prefect API that this side talks to. auth: user:password."""
    if not url or is_here(url):
        return [Check(True, f"Prefect's server is on this machine ({url or 'its own'})", "")]
    return [
        Check(
            url.startswith("https://"),
            f"Prefect's server {url} is reached over TLS",
            "put it behind a proxy with TLS, and set PREFECT_API_URL to its https:// address",
        ),
        Check(
            bool(auth),
            "Prefect's server asks for a log-in",
            "set PREFECT_SERVER_API_AUTH_STRING at the server and PREFECT_API_AUTH_STRING here",
        ),
    ]


def mlflow_server(uri: str, environment: Mapping[str, str]) -> list[Check]:
    """Of `run.tracking_uri`."""
    if is_here(uri):
        return [Check(True, f"MLflow is on this machine ({uri})", "")]
    known = {"MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"} <= environment.keys()
    return [
        Check(
            uri.startswith("https://"),
            f"MLflow's server {uri} is reached over TLS",
            "put it behind a proxy with TLS, and set run.tracking_uri to its https:// address",
        ),
        Check(
            known or "MLFLOW_TRACKING_TOKEN" in environment,
            "MLflow's server asks for a log-in",
            "start it with --app-name basic-auth; set MLFLOW_TRACKING_USERNAME and _PASSWORD here",
        ),
    ]


def own_servers(environment: Mapping[str, str]) -> list[Check]:
    """Of servers that are started with this environment."""
    off = {
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "MLflow loads no pickled model",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "MLflow's server runs no jobs",
    }
    found = [
        Check(environment.get(name, "").lower() == "false", what, f"export {name}=false")
        for name, what in off.items()
    ]
    database = environment.get("PREFECT_SERVER_DATABASE_CONNECTION_URL", "")
    advice = "export PREFECT_SERVER_DATABASE_CONNECTION_URL=postgresql+asyncpg://…: SQLite locks"
    what = "Prefect's server keeps its database in PostgreSQL"
    return [*found, Check(database.startswith("postgresql"), what, advice)]


def folders(here: Path) -> list[Check]:
    """Of the private folders that are here: nobody but their owner may read them."""
    return [
        Check(
            not path.stat().st_mode & _OTHERS,
            f"{path} is its owner's alone",
            f"chmod -R go= {path}",
        )
        for path in (here / name for name in PRIVATE)
        if path.is_dir()
    ]


def require_safe_prefect() -> None:
    """Raises ConfigError for a Prefect server elsewhere that is without TLS or log-in."""
    from prefect.settings import get_current_settings

    api = get_current_settings().api
    auth = api.auth_string.get_secret_value() if api.auth_string is not None else None
    url = str(api.url or os.environ.get("PREFECT_API_URL", ""))
    missing = [check.advice for check in prefect_server(url, auth) if not check.ok]
    if missing:
        raise ConfigError(f"Prefect's server {url} is not on this machine: {'; '.join(missing)}")
