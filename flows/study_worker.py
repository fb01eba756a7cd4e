"""A worker process of a study: runs the training flow once for every order on standard input.

`python -m flows.study_worker`. An order and its answer are one line of JSON each. When standard
input closes the worker ends; in the middle of a run at once, for then whoever ordered it is gone.
Killed like that, the run's journal is as good as after any other kill.
"""

import json
import logging
import os
import sys
import threading
import time
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TextIO

import torch
from prefect import tags
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

from federated.errors import WardroundError
from flows.federated_training import federated_training
from tasks.study_plan import Done, Identity, write_done

_busy = threading.Event()


def main() -> None:
    """Answer orders until there are no more."""
    answers = _own_stdout()
    torch.set_num_threads(1)
    orders: SimpleQueue[str | None] = SimpleQueue()
    threading.Thread(target=_read, args=(orders,), daemon=True).start()
    # a flow ends only when its heartbeat's thread wakes up, up to a second later
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        while (line := orders.get()) is not None:
            _busy.set()
            answer = _answer(json.loads(line))
            _busy.clear()
            print(json.dumps(answer), file=answers, flush=True)


def _answer(order: dict[str, Any]) -> dict[str, Any]:
    """Run one federation; `{"seconds": …}`, or `{"error": …}` in words."""
    try:
        return {"seconds": _run(order)}
    except WardroundError as error:
        return {"error": str(error)}
    except Exception as error:
        logging.exception("the run failed")
        return {"error": f"{type(error).__name__}: {error}"}


def _run(order: dict[str, Any]) -> float:
    """Seconds of the flow. MLflow takes the run's tags from its environment."""
    os.environ["MLFLOW_RUN_CONTEXT"] = json.dumps(order["tags"])
    begun = time.perf_counter()
    with tags(*order["prefect_tags"]):
        federated_training(
            params=order["params"],
            overrides=order["overrides"],
            out=order["out"],
            project=order["project"],
            report=False,
        )
    seconds = time.perf_counter() - begun
    write_done(Path(order["out"]), Done(Identity(**order["identity"]), round(seconds, 2)))
    return seconds


def _own_stdout() -> TextIO:
    """Standard output for answers alone: what libraries print goes to standard error."""
    ours = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return ours


def _read(orders: SimpleQueue[str | None]) -> None:
    for line in sys.stdin:
        orders.put(line)
    orders.put(None)
    if _busy.is_set():
        os._exit(1)


if __name__ == "__main__":
    main()
