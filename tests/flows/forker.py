"""A process that has imported everything and forks a child for every run asked of it.

Importing torch, Prefect and MLflow takes longer than a small federation; a forked child starts
with all of it in place. Run as `python -m tests.flows.forker TEMPLATE SCRATCH SOCKET…`: every
inherited socket is served by a process of its own, one order a line of JSON, one answer a line.
"""

import gc
import json
import os
import shutil
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from federated.config import load
from federated.initial import weights_of
from flows.federated_training import federated_training
from tasks import registry, tracking
from tasks.export import scoring
from tasks.job import load_job
from tasks.packed_counts import pack
from tasks.round_record import RoundRecord
from tests.flows.kill_points import KillPoints

_IMPORTED_LATE = "prefect.flow_engine, prefect.task_engine, prefect.concurrency, prefect.telemetry"


def main(template: Path, scratch: Path, sockets: list[int]) -> None:
    """Warm up once, then serve every socket until its other end is closed."""
    torch.set_num_threads(1)
    _warm_up(template, scratch)
    gc.collect()  # an artifact store's idle threads end with it
    for other in threading.enumerate():
        if other is not threading.main_thread():
            other.join(timeout=60)
    gc.freeze()  # the children's garbage collector leaves these pages shared
    assert threading.active_count() == 1, f"threads do not survive a fork: {threading.enumerate()}"
    servers = [_fork(_serve, number, sockets) for number in sockets]
    for number in sockets:
        os.close(number)
    for server in servers:
        os.waitpid(server, 0)


def _fork(work: Callable[..., None], *given: Any) -> int:
    """Do `work` in a child, which ends with it; returns the child's process id."""
    child = os.fork()
    if child:
        return child
    try:
        work(*given)
    except BaseException:  # noqa: BLE001 - whatever it was, a child must not go on as its parent
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _serve(number: int, sockets: list[int]) -> None:
    """Answer the orders that come through one socket."""
    for other in sockets:
        if other != number:
            os.close(other)
    with socket.socket(fileno=number) as ours, ours.makefile("rw") as lines:
        print("ready", file=lines, flush=True)
        for line in lines:
            print(json.dumps(_run(json.loads(line))), file=lines, flush=True)


def _warm_up(template: Path, scratch: Path) -> None:
    """Do once what MLflow and torch.export import late, on a database that is thrown away."""
    for name in _IMPORTED_LATE.split(", "):
        __import__(name)
    (scratch / "mlruns").mkdir(parents=True)
    shutil.copy(template / "mlruns" / "mlflow.db", scratch / "mlruns")
    job = load_job(load(template / "params.yaml"), template)
    uri = f"sqlite:///{scratch / 'mlruns' / 'mlflow.db'}"
    program = scoring(job.schema, job.preprocess, job.network, [weights_of(job.network)], None, 0)
    tracked = tracking.open_run(uri, scratch, "warm", "warm", "warm-0001", job.data, {}, {})
    given = weights_of(job.network)
    counts = pack({h: site.evaluate(given, {}).test for h, site in job.local.items()}).data
    record = RoundRecord(0, "", "", {}, {}, {}, {}, counts, b"", tuned=False, time_ms=0)
    registry.log_model(tracked, program, record, "warm", "")
    tracking.close_run(tracked, "FINISHED")


def _run(order: dict[str, Any]) -> dict[str, Any]:
    """One run in a child of its own; killed from here after order["seconds"], if it says so."""
    begun = time.monotonic()
    child = _fork(_train, order)
    if order["seconds"] is not None:
        time.sleep(order["seconds"])
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return {"code": os.waitstatus_to_exitcode(status), "seconds": time.monotonic() - begun}


def _train(order: dict[str, Any]) -> None:
    """The flow itself; what it prints goes to the project's run.log."""
    project = Path(order["project"])
    log = os.open(project / "run.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    KillPoints(order["at"], project / "points.log").watch()
    federated_training(project=str(project), report=False)  # matplotlib takes longer than the run


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), [int(number) for number in sys.argv[3:]])
