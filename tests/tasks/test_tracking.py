"""Two runs that begin on the same data at once, each in a thread with a client of its own."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

from mlflow import MlflowClient

from tasks.tracking import open_run

RUNS, TIMES = 4, 6


def test_runs_that_begin_at_once_share_their_data_sets(
    tmp_path: Path, migrated_database: Path
) -> None:
    path = tmp_path / "mlflow.db"
    shutil.copy(migrated_database, path)
    uri = f"sqlite:///{path}"
    experiment = MlflowClient(uri).create_experiment("e", artifact_location=tmp_path.as_uri())
    together = Barrier(RUNS)

    def begin(number: int) -> str:
        ids = []
        for time in range(TIMES):  # other data each time, new to all
            hospitals = {f"h{i}": f"{time:016x}{i:016x}" for i in range(20)}
            together.wait(timeout=300)
            tracked = open_run(
                uri, tmp_path, "e", "r", f"j{number}-{time}", hospitals, {}, {}, hospital_runs=0
            )
            ids.append(tracked.parent)
        return ids[-1]

    with ThreadPoolExecutor(RUNS) as pool:
        last = [*pool.map(begin, range(RUNS))]
    client = MlflowClient(uri)
    assert len(client.search_runs([experiment])) == RUNS * TIMES
    assert all(len(client.get_run(run).inputs.dataset_inputs) == 20 for run in last)
