"""The way to a real MLflow server that goes away and comes back."""

import time
from collections.abc import Iterator
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

    def _open(self) -> list[str]:
        data = {"a": "0" * 32, "b": "1" * 32}
        name = self.journal.name
        self.tracked = tracking.open_run(self._uri, self._folder, "test", "run", name, data, {}, {})
        return self.tracked.ids

    def again(self) -> None:
        """As the same command does after this one has ended."""
        self.outbox.end()
        self.outbox = Outbox(self.journal, self._open, self._copy)

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
        run.outbox.drain(300)
    run.outbox._hurry = False
    assert max(run.record(number) for number in range(1, 40)) < 20
    with pytest.raises(WardroundError, match=r"rounds after 0 are not copied .*journal is whole"):
        run.outbox.drain(2)
    assert run.journal.fact("mirrored") == 0
    with server:
        run.outbox.drain(300)
    assert run.journal.fact("mirrored") == 39
    run.close()
    again = Run(tmp_path, f"sqlite:///{database}")  # as after a kill before the note
    again.journal.note("mirrored", 5)
    again.outbox = Outbox(again.journal, again._open, again._copy)
    again.outbox.announce(39)
    again.outbox.drain(300)
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
    run.outbox.drain(300)
    run.outbox.drain(300)
    assert run.copied == list(range(80))
    run.close()


def test_a_rounds_weights_are_the_journals_own_file(
    tmp_path: Path, migrated_database: Path
) -> None:
    database = tmp_path / "mlflow.db"
    database.write_bytes(migrated_database.read_bytes())
    run = Run(tmp_path, f"sqlite:///{database}")
    run.record(0)
    run.outbox.drain(300)
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


@pytest.fixture
def local(tmp_path: Path, migrated_database: Path) -> Iterator[Run]:
    """A run of four rounds whose MLflow is a file of this machine."""
    database = tmp_path / "mlflow.db"
    database.write_bytes(migrated_database.read_bytes())
    run = Run(tmp_path, f"sqlite:///{database}")
    for number in range(4):
        run.record(number)
    run.outbox.drain(300)
    yield run
    run.close()


def is_whole(run: Run, rounds: int) -> None:
    """Parent and nested runs are there, belong together and have every round's metrics."""
    client = run.tracked.client
    parent, *nested = (client.get_run(run_id) for run_id in run.tracked.ids)
    assert {one.info.lifecycle_stage for one in (parent, *nested)} == {"active"}
    assert {one.data.tags["mlflow.parentRunId"] for one in nested} == {parent.info.run_id}
    assert sorted(d.dataset.name for d in parent.inputs.dataset_inputs) == ["a", "b"]
    for one in (parent, *nested):
        key = "global/loss" if one is parent else "loss"
        found = client.get_metric_history(one.info.run_id, key)
        assert [metric.step for metric in found] == list(range(rounds))


def test_a_deleted_run_is_restored_by_the_same_command(
    local: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")  # as on a terminal
    for run_id in local.tracked.ids[:2]:
        local.tracked.client.delete_run(run_id)
    before = local.tracked.ids
    local.again()
    local.record(4)
    local.outbox.drain(300)
    assert local.tracked.ids == before
    assert local.copied == [0, 1, 2, 3, 4]
    is_whole(local, 5)
    assert "MLflow's run 'run' was deleted: it is restored" in capsys.readouterr().err


def test_settings_that_change_no_number_may_change_when_a_run_goes_on(
    tmp_path: Path, migrated_database: Path
) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    (tmp_path / "mlflow.db").write_bytes(migrated_database.read_bytes())
    for parallel in (True, False):
        given = {"run.parallel": parallel, "run.seed": 1}
        found = tracking.open_run(uri, tmp_path, "test", "run", "j", {}, given, {})
    data = found.client.get_run(found.parent).data
    assert data.params == {"run.parallel": "True", "run.seed": "1"}
    assert data.tags["wardround.resumed_with.run.parallel"] == "False"


def test_a_run_that_is_deleted_while_it_goes_on_is_restored(local: Run) -> None:
    local.tracked.client.delete_run(local.tracked.parent)
    local.record(4)
    local.outbox.drain(300)
    is_whole(local, 5)


@pytest.mark.parametrize("which", [0, 1], ids=["parent", "nested"])
def test_a_run_that_is_gone_for_good_is_made_anew_with_every_round(local: Run, which: int) -> None:
    before = local.tracked.ids
    store = local.tracked.client._tracking_client.store
    local.tracked.client.delete_run(before[which])
    store._hard_delete_run(before[which])  # what `mlflow gc` does
    local.again()
    local.record(4)
    local.outbox.drain(300)
    changed = [new != old for new, old in zip(local.tracked.ids, before, strict=True)]
    assert changed == [i == which for i in range(3)]
    is_whole(local, 5)
    local.again()
    local.outbox.drain(300)
    assert local.copied == [0, 1, 2, 3, 0, 1, 2, 3, 4]


def test_a_deleted_experiment_is_restored(local: Run) -> None:
    client = local.tracked.client
    client.delete_experiment(client.get_run(local.tracked.parent).info.experiment_id)
    local.again()
    local.record(4)
    local.outbox.drain(300)
    is_whole(local, 5)


def test_every_hospitals_data_are_linked_to_the_run_however_many(
    tmp_path: Path, migrated_database: Path
) -> None:
    database = tmp_path / "mlflow.db"
    database.write_bytes(migrated_database.read_bytes())
    data = {f"h{number}": f"{number:032x}" for number in range(600)}
    for _ in range(2):
        tracked = tracking.open_run(
            f"sqlite:///{database}", tmp_path, "test", "run", "journal", data, {}, {}
        )
    assert tracked.hospitals == {}
    inputs = tracked.client.get_run(tracked.parent).inputs.dataset_inputs
    assert {one.dataset.name: one.dataset.digest for one in inputs} == data
    assert len(inputs) == len(data)
    assert {tag.value for one in inputs for tag in one.tags} == {"training"}
