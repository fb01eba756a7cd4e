"""`make federation-demo`: a whole federation on this machine, every part a process of its own.

A Prefect server, an MLflow server, a coordinator, and the project's hospitals, each with a folder
that holds its own data alone. One hospital is killed on the way and comes back; at the end the
weights are compared with a simulation's, and every audit log is verified.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import httpx

from federated.errors import WardroundError
from federated.sections import read_yaml, write_yaml
from tasks.environment import LEAN

ROUNDS, KILLED_AFTER = 15, 5
_DEMO = Path(".demo")
_SECONDS = 90.0
_MAIN = "from wardround.cli import command; command()"


def main() -> None:
    """Run it in the project that is the working directory."""
    project, place = Path.cwd(), Path.cwd() / _DEMO
    shutil.rmtree(place, ignore_errors=True)
    hospitals = sorted(p for p in (project / "data" / "hospitals").iterdir() if p.is_dir())
    prefect, mlflow = (f"http://127.0.0.1:{_free_port()}" for _ in range(2))
    os.environ |= {"PREFECT_API_URL": f"{prefect}/api", "PREFECT_LOGGING_LEVEL": "WARNING"}
    coordinator = place / "coordinator"
    coordinator.mkdir(parents=True)
    _params(project, coordinator, mlflow)
    with ExitStack() as running:
        running.enter_context(_server(place / "prefect", prefect, _prefect(prefect)))
        running.enter_context(_server(place / "mlflow", mlflow, _mlflow(place, mlflow)))
        print(f"Prefect: {prefect}   MLflow: {mlflow}", flush=True)
        _enter(place, coordinator, hospitals)
        joined = {h.name: running.enter_context(_joined(place / h.name)) for h in hospitals}
        for name in joined:
            _until(_has_joined(place / name), f"{name} joins")
        print(f"joined: {', '.join(joined)}", flush=True)
        _train(place, coordinator, joined, running)
    _compare(project, coordinator)
    for folder in (coordinator, *(place / h.name for h in hospitals)):
        print(f"{folder.name}, {_wardround(folder, 'audit', 'verify').splitlines()[0]}")
    print(f"report: {(coordinator / 'reports' / 'report.html').relative_to(project)}")


def _enter(place: Path, coordinator: Path, hospitals: Sequence[Path]) -> None:
    """What the people at the hospitals and the coordinator do once (docs/joining.md)."""
    key = _wardround(coordinator, "roster", "init").split()[-1]
    for hospital in hospitals:
        site = place / hospital.name
        shutil.copytree(hospital, site / "data" / hospital.name)
        given = ("--data", f"data/{hospital.name}", "--exchange", str(place / "exchange"))
        said = _wardround(site, "site", "init", hospital.name, *given, "--coordinator", key)
        text = (site / "site.yaml").read_text()  # here nobody sits at the hospitals to approve
        (site / "site.yaml").write_text(
            text.replace("approval: required ", "approval: not_required ")
        )
        _wardround(coordinator, *said.splitlines()[-1].split()[1:])


def _train(
    place: Path,
    coordinator: Path,
    joined: dict[str, subprocess.Popen[bytes]],
    running: ExitStack,
) -> None:
    """The coordinator's training, in which the last hospital is killed and comes back."""
    command = [sys.executable, "-c", _MAIN, "train"]
    training = subprocess.Popen(command, cwd=coordinator)
    name = list(joined)[-1]
    try:
        _until(lambda: _accepted(coordinator, name) >= KILLED_AFTER, f"round {KILLED_AFTER}")
        os.killpg(joined[name].pid, signal.SIGKILL)
        joined[name].wait()
        print(f"{name} was killed after round {KILLED_AFTER}, and is started again", flush=True)
        running.enter_context(_joined(place / name))
        if training.wait(timeout=2 * _SECONDS) != 0:
            raise WardroundError(f"the coordinator ended with exit code {training.returncode}")
    finally:
        if training.poll() is None:
            training.terminate()
            training.wait()


def _compare(project: Path, coordinator: Path) -> None:
    """The same run as a simulation, in the project itself."""
    given = (
        "--set",
        f"run.rounds={ROUNDS}",
        "--set",
        "run.baselines=[]",
        "--out",
        f"{_DEMO}/alone",
    )
    _wardround(project, "train", "--no-report", *given, PREFECT_API_URL="")
    ours = (coordinator / "reports" / "model.safetensors").read_bytes()
    same = ours == (project / _DEMO / "alone" / "model.safetensors").read_bytes()
    if not same:
        raise WardroundError("the final weights differ from the simulation's")
    print("final weights: the same bytes as the simulation's", flush=True)


def _params(project: Path, coordinator: Path, mlflow: str) -> None:
    values = read_yaml((project / "params.yaml").read_text(encoding="utf-8"))
    values["federation"] |= {"mode": "deployment", "exchange": "../exchange"}
    values["run"] |= {"rounds": ROUNDS, "tracking_uri": mlflow}
    (coordinator / "params.yaml").write_text(write_yaml(values), encoding="utf-8")


def _accepted(coordinator: Path, hospital: str) -> int:
    """The last round in which an update of the hospital was accepted."""
    path = coordinator / "audit" / "log.jsonl"
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    events = [json.loads(line) for line in lines]
    ours = [e for e in events if (e["event"], e["hospital"]) == ("accepted", hospital)]
    return max((int(e["round"]) for e in ours), default=0)


def _prefect(url: str) -> list[str]:
    port = url.rpartition(":")[2]
    return ["prefect", "server", "start", "--host", "127.0.0.1", "--port", port]


def _mlflow(place: Path, url: str) -> list[str]:
    port, store = url.rpartition(":")[2], f"sqlite:///{place / 'mlflow' / 'mlflow.db'}"
    given = ["--backend-store-uri", store, "--artifacts-destination", str(place / "mlflow")]
    return ["mlflow", "server", "--host", "127.0.0.1", "--port", port, "--workers", "1", *given]


@contextmanager
def _server(folder: Path, url: str, command: Sequence[str]) -> Iterator[None]:
    """Until it answers; it ends with the context."""
    folder.mkdir(parents=True)
    own = LEAN | {"PREFECT_HOME": str(folder), "PREFECT_SERVER_LOGGING_LEVEL": "WARNING"}
    own["PREFECT_SERVER_UI_API_URL"] = f"{url}/api"  # where its page looks
    with _process([sys.executable, "-m", *command], folder, **own) as process:
        health = f"{url}/api/health" if command[0] == "prefect" else f"{url}/health"
        _until(lambda: _answers(health) or process.poll() is not None, f"{command[0]} starts")
        yield


@contextmanager
def _joined(site: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", _MAIN, "site", "join"]
    with _process(command, site, PREFECT_HOME=str(site / ".prefect")) as process:
        yield process


@contextmanager
def _process(command: Sequence[str], folder: Path, **own: str) -> Iterator[subprocess.Popen[bytes]]:
    """Runs in its folder, writes to a log there, and ends, with all that it began."""
    with (folder / "process.log").open("ab") as log:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **own},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _wardround(folder: Path, *arguments: str, **own: str) -> str:
    environment = {k: v for k, v in {**os.environ, **own}.items() if v}
    done = subprocess.run(
        [sys.executable, "-c", _MAIN, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise WardroundError(f"{folder.name}: wardround {' '.join(arguments)}: {done.stderr}")
    return done.stdout.strip()


def _has_joined(site: Path) -> Callable[[], bool]:
    return lambda: "has joined" in (site / "process.log").read_text()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def _until(true: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + _SECONDS
    while not true():
        if time.monotonic() > end:
            raise WardroundError(f"{what}: not within {_SECONDS:g} s; see the logs in {_DEMO}")
        time.sleep(0.1)


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
