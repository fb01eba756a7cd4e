"""The way to a real MLflow server that goes away and comes back."""

import time
from pathlib import Path

import pytest
import torch
from mlflow import MlflowClient

from federated.errors import WardroundError
from federated.federation import Standing
from tasks import tracking
from tasks.journal import Journal
from tasks.outbox import Outbox
from tasks.packed_counts import pack
from tasks.round_record import RoundRecord
from tests.federated.make import count
from tests.servers import free_port, mlflow_server


class Run:
    """A journal and its outbox, to a server that may or may not be there."""

    def __init__(self, folder: Path, uri: str) -> None:
        self.journal = Journal(folder / "journal")
        self._folder, self._uri = folder, uri
        self.copied: list[int] = []
        self.outbox = Outbox(self.journal, self._open, self._copy)

    def _open(self) -> None:
        data = {"a": "0" * 32, "b": "1" * 32}
        name = self.journal.name
        self.tracked = tracking.open_run(self._uri, self._folder, "test", "run", name, data, {}, {})

    def _copy(self, records: list[RoundRecord]) -> None:
        tracking.log_rounds(self.tracked, records)
        self.copied += [record.round for record in records]

    def record(self, number: int) -> float:
        """Seconds that a round waits for being recorded."""
        counts = {h: count(torch.tensor([[0.3]]), torch.tensor([1]), 2, 10, 5) for h in "ab"}
        standing = Standing(number, {"w": torch.tensor([float(number)])}, {}, {})
        self.journal.commit(standing, [], pack(counts), pack({}))
        begun = time.monotonic()
        self.outbox.announce(number)
        return time.monotonic() - begun

    def close(self) -> None:
        self.outbox.end()
        self.journal.close()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")


@pytest.mark.slow
def test_a_server_that_goes_away_delays_nothing_and_misses_nothing(
    tmp_path: Path, migrated_database: Path
) -> None:
    database, (server, url) = tmp_path / "mlflow.db", mlflow_server(tmp_path)
    database.write_bytes(migrated_database.read_bytes())
    run = Run(tmp_path, url)
    with server:
        run.record(0)
        run.outbox.drain(60)
    run.outbox._hurry = False
    assert max(run.record(number) for number in range(1, 40)) < 1
    with pytest.raises(WardroundError, match=r"rounds after 0 are not copied .*journal is whole"):
        run.outbox.drain(2)
    assert run.journal.fact("mirrored") == 0
    with server:
        run.outbox.drain(60)
    assert run.journal.fact("mirrored") == 39
    run.close()
    again = Run(tmp_path, f"sqlite:///{database}")  # as after a kill before the note
    again.journal.note("mirrored", 5)
    again.outbox = Outbox(again.journal, again._open, again._copy)
    again.outbox.announce(39)
    again.outbox.drain(60)
    again.close()
    assert again.copied == list(range(6, 40))
    client = MlflowClient(f"sqlite:///{database}")
    for run_id in (again.tracked.parent, *again.tracked.hospitals.values()):
        key = "global/loss" if run_id == again.tracked.parent else "loss"
        assert [m.step for m in client.get_metric_history(run_id, key)] == list(range(40))


def test_a_run_that_mlflow_never_knew_is_not_begun(tmp_path: Path) -> None:
    run = Run(tmp_path, f"http://127.0.0.1:{free_port()}")
    run.record(0)
    with pytest.raises(
        WardroundError, match=r"MLflow: .*The journal .* is whole: the same command"
    ):
        run.outbox.drain(30)
    with pytest.raises(WardroundError, match="the run cannot be begun"):
        run.record(1)
    run.close()


def test_rounds_go_together_and_only_what_is_new(tmp_path: Path, migrated_database: Path) -> None:
    database = tmp_path / "mlflow.db"
    database.write_bytes(migrated_database.read_bytes())
    run = Run(tmp_path, f"sqlite:///{database}")
    for number in range(80):
        run.record(number)
    run.outbox.drain(60)
    run.outbox.drain(60)
    assert run.copied == list(range(80))
    run.close()


def test_a_rounds_weights_are_the_journals_own_file(
    tmp_path: Path, migrated_database: Path
) -> None:
    database = tmp_path / "mlflow.db"
    database.write_bytes(migrated_database.read_bytes())
    run = Run(tmp_path, f"sqlite:///{database}")
    run.record(0)
    run.outbox.drain(60)
    (record,) = run.journal.rounds()
    source = run.journal.weights_path(record.weights)
    for _ in range(2):
        tracking.log_weights(run.tracked, 0, source)
    assert run.tracked.artifacts is not None
    copied = run.tracked.artifacts / "rounds" / "000" / "weights.safetensors"
    assert copied.samefile(source)
    assert source.stat().st_nlink == 2
    found = run.tracked.client.list_artifacts(run.tracked.parent, "rounds/000")
    assert [a.path for a in found] == ["rounds/000/weights.safetensors"]
    run.close()
