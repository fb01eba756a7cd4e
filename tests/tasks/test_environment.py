"""No telemetry, whichever way a run is begun."""

import json
import subprocess
import sys

import yaml

from tasks.environment import QUIET
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
