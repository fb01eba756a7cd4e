"""A deployment on servers as docs/deployment.md has them: PostgreSQL, and a log-in at both."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from mlflow import MlflowClient

from tasks.environment import LEAN
from tests.flows.federation import World, alone, table_world
from tests.postgres import postgres, programs
from tests.servers import Server, free_port

psycopg2 = pytest.importorskip("psycopg2", reason="wardround[servers] is not installed here")
WHERE = programs()
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(WHERE is None, reason="PostgreSQL is not installed here"),
]
LOG_IN = "wardround:a long password"
NAME, WORD = "coordinator", "another long password"
ROUNDS, END = 3, 180


@dataclass(frozen=True)
class Servers:
    """world: hospitals have joined. prefect, mlflow: addresses; database: PostgreSQL's."""

    world: World
    prefect: str
    mlflow: str
    database: str


@pytest.fixture(scope="module")
def servers(migrated_database: Path) -> Iterator[Servers]:
    folder = Path(tempfile.mkdtemp(prefix="wardround-production-"))
    folder.chmod(0o755)
    assert WHERE is not None
    with ExitStack() as ends:
        ends.callback(shutil.rmtree, folder)
        database = ends.enter_context(postgres(WHERE, folder / "postgres"))
        for name in ("prefect", "mlflow", "users"):
            create(database, name)
        prefect = ends.enter_context(prefect_on(database, folder / "prefect"))
        mlflow = ends.enter_context(mlflow_on(database, folder / "mlflow"))
        world = ends.enter_context(table_world(folder, migrated_database, prefect.health[:-7]))
        own = {"PREFECT_API_AUTH_STRING": LOG_IN}
        world.ours.own |= dict.fromkeys(world.ours.sites, own)
        logged_in = {"MLFLOW_TRACKING_USERNAME": NAME, "MLFLOW_TRACKING_PASSWORD": WORD}
        world.ours.own["coordinator"] = own | logged_in
        world.ours.join(*world.ours.sites)
        yield Servers(world, prefect.health[:-7], mlflow.health[:-7], database)


def create(database: str, name: str) -> None:
    connection = psycopg2.connect(f"postgresql://{database}/postgres")
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {name}")
    finally:
        connection.close()


def count(database: str, name: str, table: str) -> int:
    connection = psycopg2.connect(f"postgresql://{database}/{name}")
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT count(*) FROM {table}")
            (found,) = cursor.fetchone() or (0,)
            return int(found)
    finally:
        connection.close()


def prefect_on(database: str, home: Path) -> Server:
    port = free_port()
    start = ("prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port))
    own = {
        **LEAN,
        "PREFECT_HOME": str(home),
        "PREFECT_SERVER_API_AUTH_STRING": LOG_IN,
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": f"postgresql+asyncpg://{database}/prefect",
    }
    return Server(start, f"http://127.0.0.1:{port}/api/health", home, own)


def mlflow_on(database: str, home: Path) -> Server:
    """As deploy/wardround-mlflow.service starts it."""
    port = free_port()
    home.mkdir()
    (home / "auth.ini").write_text(
        "[mlflow]\ndefault_permission = NO_PERMISSIONS\n"
        f"database_uri = postgresql://{database}/users\n"
        f"admin_username = {NAME}\nadmin_password = {WORD}\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
    )
    start = ("mlflow", "server", "--app-name", "basic-auth", "--host", "127.0.0.1")
    address = ("--port", str(port), "--workers", "1", "--allowed-hosts", f"127.0.0.1:{port}")
    own = {
        "MLFLOW_BACKEND_STORE_URI": f"postgresql://{database}/mlflow",
        "MLFLOW_AUTH_CONFIG_PATH": str(home / "auth.ini"),
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "a secret of the tests",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    artifacts = ("--artifacts-destination", str(home / "artifacts"))
    return Server((*start, *address, *artifacts), f"http://127.0.0.1:{port}/health", home, own)


def test_a_deployment_trains_on_postgresql_with_log_ins_at_both_servers(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = servers.world
    run = {"rounds": ROUNDS, "tracking_uri": servers.mlflow, "hospital_runs": 0}
    project = world.ours.deployed(world.make("production", run=run))
    assert world.ours.begin(project).wait(timeout=END) == 0, world.ours.log("production")
    ours = (project / "reports" / "model.safetensors").read_bytes()
    assert ours == alone(world, "production", {}, run={"rounds": ROUNDS})
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", NAME)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", WORD)
    client = MlflowClient(servers.mlflow)
    experiments = [one.experiment_id for one in client.search_experiments()]
    whole = client.search_runs(experiments, "metrics.`global/auroc` > 0")
    (found,) = [one for one in whole if "mlflow.parentRunId" not in one.data.tags]
    history = client.get_metric_history(found.info.run_id, "global/auroc")
    assert [one.step for one in history] == list(range(ROUNDS + 1))
    assert count(servers.database, "mlflow", "metrics") > 0
    assert count(servers.database, "prefect", "task_run") >= ROUNDS * 2 * len(world.ours.sites)


def test_neither_server_answers_who_does_not_log_in(servers: Servers) -> None:
    nobody = httpx.post(f"{servers.prefect}/flow_runs/filter", json={})
    wrong = httpx.post(f"{servers.prefect}/flow_runs/filter", json={}, auth=("wardround", "x"))
    right = httpx.post(
        f"{servers.prefect}/flow_runs/filter", json={}, auth=("wardround", "a long password")
    )
    assert [one.status_code for one in (nobody, wrong, right)] == [401, 401, 200]
    asked = f"{servers.mlflow}/api/2.0/mlflow/experiments/search?max_results=5"
    known = httpx.get(asked, auth=(NAME, WORD))
    assert [httpx.get(asked).status_code, known.status_code] == [401, 200]
    assert httpx.get(asked, headers={"Host": "evil.example"}).status_code == httpx.codes.FORBIDDEN
