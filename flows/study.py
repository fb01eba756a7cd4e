"""A study: every setting with every seed as a run of the training flow, side by side.

The runs are flow runs of their own in worker processes, one torch thread each, against one Prefect
server. What is done already is not run again; what was cut off goes on from its journal.
"""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from filelock import FileLock, Timeout

from federated.errors import WardroundError
from tasks.mlflow_database import answering
from tasks.server import prefect_server, server_url
from tasks.study_plan import RUN_FILE, Plan, PlannedRun, write_study
from tasks.tracking import ensure_experiment
from tasks.worker_pool import WorkerPool

LOGS = "logs"
# The temporary server's: a file answers writers at once with "locked", and clients wait seconds
_MEMORY = "sqlite+aiosqlite:///:memory:"


@dataclass(frozen=True)
class Finished:
    """A run that came to its end; error: why not, in words."""

    planned: PlannedRun
    seconds: float | None
    error: str | None


def run_study(plan: Plan, jobs: int, show: Callable[[Finished], None]) -> tuple[Finished, ...]:
    """Run what is not done; returns the runs that failed. `show` hears of each as it ends.

    Raises WardroundError if the same study is under way in another process.
    """
    os.environ.setdefault("PREFECT_SERVER_DATABASE_CONNECTION_URL", _MEMORY)
    plan.folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(plan.folder / ".lock", timeout=0):
            write_study(plan)
            missing = [one for one in plan.runs if one.done is None]
            for one in missing:  # results of other settings or code must not pass for these
                (one.folder / RUN_FILE).unlink(missing_ok=True)
            return _run(plan, missing, jobs, show) if missing else ()
    except Timeout:
        raise WardroundError(
            f"study {plan.study.name!r} is already going on in another process; wait for it"
        ) from None


def _run(
    plan: Plan, missing: Sequence[PlannedRun], jobs: int, show: Callable[[Finished], None]
) -> tuple[Finished, ...]:
    with answering(plan.tracking_uri):
        ensure_experiment(plan.tracking_uri, plan.project, plan.study.name)
    failed = []
    orders = [_order(plan, one, alone=min(jobs, len(missing)) == 1) for one in missing]
    command = [sys.executable, "-m", "flows.study_worker"]
    with prefect_server():
        environment = {"PREFECT_API_URL": server_url(), "OMP_NUM_THREADS": "1"}
        with WorkerPool(command, jobs, environment, plan.folder / LOGS) as pool:
            for index, answer in pool.answers(orders):
                ended = Finished(missing[index], answer.get("seconds"), answer.get("error"))
                if ended.error is not None:
                    failed.append(ended)
                show(ended)
    return tuple(failed)


def _order(plan: Plan, planned: PlannedRun, *, alone: bool) -> dict[str, Any]:
    """What a worker is told. Only a worker that is alone trains its hospitals side by side."""
    run, name = planned.run, plan.study.name
    return {
        "params": str(plan.params),
        "overrides": [*run.overrides, *([] if alone else ["run.parallel=false"])],
        "out": str(planned.folder),
        "project": str(plan.project),
        "identity": asdict(planned.identity),
        "prefect_tags": [f"study {name}", f"setting {run.setting}"],
        "tags": {
            "wardround.study": name,
            "wardround.setting": run.setting,
            "wardround.seed": str(run.seed),
        },
    }
