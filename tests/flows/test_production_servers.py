"""A deployment on servers as deploy/compose.yaml starts them: PostgreSQL, and a log-in at both."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from mlflow import MlflowClient

from tests.composed import Composed, changed, composed
from tests.flows.federation import World, alone, table_world
from tests.postgres import postgres, programs
from tests.servers import Server, free_port

psycopg2 = pytest.importorskip("psycopg2", reason="wardround[servers] is not installed here")
WHERE = programs()
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(WHERE is None, reason="PostgreSQL is not installed here"),
]
LOG_IN = "wardround:longword"
NAME, WORD = "coordinator", "anotherlongword"
ROUNDS, END = 3, 300
AT, MLFLOW_HOST = "@postgres:5432/", "mlflow.example.org"
VALUES = {
    "POSTGRES_PASSWORD": "word1",
    "PREFECT_AUTH": LOG_IN,
    "PREFECT_HOST": "prefect.example.org",
    "MLFLOW_HOST": MLFLOW_HOST,
    "MLFLOW_USER": NAME,
    "MLFLOW_PASSWORD": WORD,
    "MLFLOW_SECRET": "secret1",
}


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
        word = VALUES["POSTGRES_PASSWORD"]
        database = ends.enter_context(postgres(WHERE, folder / "postgres", word))
        parts = composed(VALUES)
        databases(database, parts.file("databases"))
        place = database.partition("@")[2]
        prefect = ends.enter_context(prefect_on(parts, place, folder / "prefect"))
        mlflow = ends.enter_context(mlflow_on(parts, place, folder / "mlflow"))
        world = ends.enter_context(
            table_world(folder, migrated_database, prefect.health.removesuffix("/health"))
        )
        own = {"PREFECT_API_AUTH_STRING": LOG_IN}
        world.ours.own |= dict.fromkeys(world.ours.sites, own)
        logged_in = {"MLFLOW_TRACKING_USERNAME": NAME, "MLFLOW_TRACKING_PASSWORD": WORD}
        world.ours.own["coordinator"] = own | logged_in
        world.ours.join(*world.ours.sites)
        yield Servers(
            world,
            prefect.health.removesuffix("/health"),
            mlflow.health.removesuffix("/health"),
            database,
        )


def databases(address: str, statements: str) -> None:
    """Run each; CREATE DATABASE takes a connection of its own."""
    connection = psycopg2.connect(f"postgresql://{address}/postgres")
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            for one in statements.splitlines():
                cursor.execute(one)
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


def prefect_on(parts: Composed, database: str, home: Path) -> Server:
    port = free_port()
    command = parts.command("prefect", ("0.0.0.0", "127.0.0.1"), ("4200", str(port)))
    own = environment(parts, "prefect", database) | {"PREFECT_HOME": str(home)}
    return Server(command, f"http://127.0.0.1:{port}/api/health", home, own)


def mlflow_on(parts: Composed, database: str, home: Path) -> Server:
    port = free_port()
    home.mkdir()
    (home / "auth.ini").write_text(parts.file("log_in", (AT, f"@{database}/")))
    here = (("0.0.0.0", "127.0.0.1"), ("5000", str(port)), ("/artifacts", str(home / "artifacts")))
    command = parts.command("mlflow", *here, (MLFLOW_HOST, f"127.0.0.1:{port}"))
    own = environment(parts, "mlflow", database)
    own["MLFLOW_AUTH_CONFIG_PATH"] = str(home / "auth.ini")
    return Server(command, f"http://127.0.0.1:{port}/health", home, own)


def environment(parts: Composed, service: str, database: str) -> dict[str, str]:
    """With this database's address in place of the container's."""
    own = parts.environment(service)
    return {k: changed(v, (AT, f"@{database}/")) if AT in v else v for k, v in own.items()}


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
        f"{servers.prefect}/flow_runs/filter", json={}, auth=("wardround", "longword")
    )
    assert [one.status_code for one in (nobody, wrong, right)] == [401, 401, 200]
    asked = f"{servers.mlflow}/api/2.0/mlflow/experiments/search?max_results=5"
    known = httpx.get(asked, auth=(NAME, WORD))
    assert [httpx.get(asked).status_code, known.status_code] == [401, 200]
    assert httpx.get(asked, headers={"Host": "evil.example"}).status_code == httpx.codes.FORBIDDEN
