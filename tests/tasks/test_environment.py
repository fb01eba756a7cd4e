"""No telemetry, whichever way a run is begun."""

import json
import subprocess
import sys

import pytest
import yaml

from tasks.environment import LEAN, QUIET
from tests.conftest import ROOT

SHOW = "import flows, json, os; print(json.dumps(dict(os.environ)))"


def test_whoever_imports_a_flow_is_quiet() -> None:
    bare = {"PATH": "/usr/bin:/bin", "MLFLOW_DISABLE_TELEMETRY": "yes, do"}
    done = subprocess.run(
        [sys.executable, "-c", SHOW], env=bare, cwd=ROOT, capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout)
    assert {k: found[k] for k in QUIET} == QUIET | {"MLFLOW_DISABLE_TELEMETRY": "yes, do"}


def test_a_worker_gives_its_runs_the_same_settings() -> None:
    deployments = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    assert deployments
    assert all(one["work_pool"]["job_variables"]["env"] == QUIET for one in deployments)


@pytest.mark.parametrize("own", [False, True])
def test_a_temporary_server_is_lean_and_a_person_decides_otherwise(own: bool) -> None:
    name = "PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED"
    show = (
        "import json, os, pathlib, tasks.environment as e; "
        "e.prepare_environment(pathlib.Path('.')); import prefect.settings as p; "
        "s = p.get_current_settings().server.services; print(json.dumps([s.triggers.enabled, "
        "s.event_persister.enabled, s.task_run_recorder.batch_size]))"
    )
    environment = {"PATH": "/usr/bin:/bin"} | ({name: "true"} if own else {})
    done = subprocess.run(
        [sys.executable, "-c", show],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    batch = int(LEAN["PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE"])
    assert json.loads(done.stdout) == [own, False, batch]
