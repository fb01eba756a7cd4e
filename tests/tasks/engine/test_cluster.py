"""What a round costs between the training process and its workers, counted on real pickles."""

import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cloudpickle
import pytest
import yaml

from federated.config import load
from federated.errors import ConfigError, UpdateError, WardroundError
from federated.federation import Standing, advance, begin, learning, order, select
from federated.initial import weights_of
from federated.shares import Share, combine
from federated.types import Order
from federated.weights import to_bytes
from tasks.engine import on_processes
from tasks.engine.choose import open_engine
from tasks.engine.cluster import Cluster, handed
from tasks.engine.deal import cut
from tasks.engine.local import Local
from tasks.engine.on_processes import Folder
from tasks.engine.post import Started, Ticket
from tasks.engine.remote import Home, home_of, local
from tasks.job import Job, load_job
from tasks.rounds import train
from tests.conftest import ROOT, SMALL, merged
from tests.servers import free_port

Make = Callable[..., Job]


@pytest.fixture
def make_job(tmp_path: Path) -> Make:
    """Makes a synthetic job of so many hospitals of 20 rows."""

    def make(hospitals: int, *overrides: str) -> Job:
        project = tmp_path / f"{hospitals}"
        project.mkdir(exist_ok=True)
        values = merged(yaml.safe_load((ROOT / "params.yaml").read_text()), SMALL)
        values["data"]["source"] |= {"hospitals": hospitals, "rows": 20}
        values["engine"]["runner"] = "processes"
        (project / "params.yaml").write_text(yaml.safe_dump(values))
        return load_job(load(project / "params.yaml", overrides), project)

    return make


@dataclass(frozen=True)
class Answer:
    value: Any

    def result(self) -> Any:
        return self.value


@dataclass
class Pickling:
    """A runner of the same process that pickles what goes to and fro, and counts the bytes."""

    sent: dict[str, list[int]] = field(default_factory=dict)
    back: dict[str, list[int]] = field(default_factory=dict)

    def submit(self, task: Any, parameters: dict[str, Any]) -> Answer:
        there = cloudpickle.dumps(parameters)
        here = cloudpickle.dumps(task.fn(**cloudpickle.loads(there)))
        self.sent.setdefault(task.name, []).append(len(there))
        self.back.setdefault(task.name, []).append(len(here))
        return Answer(cloudpickle.loads(here))


@dataclass(frozen=True)
class Counting(Folder):
    """A post that counts what is put."""

    sizes: list[int] = field(default_factory=list)

    def put(self, data: bytes) -> Ticket:
        self.sizes.append(len(data))
        return super().put(data)


@dataclass(frozen=True)
class Trial:
    """A job's engine over two workers that are this very process, but for pickling."""

    job: Job
    engine: Cluster
    runner: Pickling
    post: Counting

    def rounds(self, count: int) -> Standing:
        """As the flow trains them, with an evaluation after each."""
        rules = self.job.config.algorithm.rules
        now = begin(rules, weights_of(self.job.network))
        for _ in range(count):
            cohort = select(rules, self.job.sites, now, seed=1)
            now = self.round(now, cut(cohort, [1] * len(cohort), self.engine), count)
            self.engine.evaluate(now.round, now.weights, now.states)
        return now

    def round(self, now: Standing, shares: Sequence[Sequence[str]], rounds: int) -> Standing:
        rules = self.job.config.algorithm.rules
        out = handed(self.engine, shares, order(rules, now, rounds), now.states)
        given = [dict(zip(FIELDS, ("", 0, *own), strict=True)) for own in out.shares]
        trained: list[Share] = [self.runner.submit(train, one).result() for one in given]
        states = {h: state for share in trained for h, state in share.states.items()}
        return advance(
            rules, now, states, combine(rules, trained, now.weights, learning(self.job.sites))
        )


FIELDS = ("who", "number", "engine", "cohort", "order", "states")


def trial(job: Job, folder: Path) -> Trial:
    folder.mkdir()
    runner, post = Pickling(), Counting(folder)
    started = Started(runner, post, 2, ())  # type: ignore[arg-type]
    return Trial(job, Cluster(job, started), runner, post)


@pytest.mark.parametrize("name", ["fedavg", "scaffold", "median", "ditto"])
def test_what_comes_back_from_pickling_has_the_bits_of_one_process(
    make_job: Make, tmp_path: Path, name: str
) -> None:
    stochastic = ["model.name=mlp", "model.norm=batch", "model.dropout=0.3"]
    job = make_job(20, f"algorithm.name={name}", *stochastic)
    found = trial(job, tmp_path / "post").rounds(2)
    rules = job.config.algorithm.rules
    alone, now = Local(rules, job.sites, 1), begin(rules, weights_of(job.network))
    for _ in range(2):
        cohort = select(rules, job.sites, now, seed=1)
        share = alone.train(cohort, order(rules, now, 2), now.states)
        now = advance(
            rules, now, share.states, combine(rules, [share], now.weights, learning(job.sites))
        )
    assert to_bytes(found.weights) == to_bytes(now.weights)
    assert found.states.keys() == now.states.keys()
    assert all(to_bytes(s) == to_bytes(now.states[h]) for h, s in found.states.items())


def test_traffic_grows_with_workers_and_not_with_hospitals(make_job: Make, tmp_path: Path) -> None:
    wide = ("model.name=mlp", "model.hidden=[2000]")
    few, many = (
        trial(make_job(hospitals, *wide), tmp_path / f"post-{hospitals}") for hospitals in (20, 80)
    )
    update = len(to_bytes(few.rounds(2).weights))
    many.rounds(2)
    assert update > 48_000  # 2000 · (4 + 1) + 2001 numbers of four bytes
    assert few.post.sizes == many.post.sizes == [update] * 3  # w_0, w_1, w_2: once, for all
    for which in (few, many):
        assert len(which.runner.sent["train"]) == 2 * 2  # two rounds, a share for each worker
    added = 60 / 2  # hospitals a share
    pairs = zip(few.runner.sent["train"], many.runner.sent["train"], strict=True)
    assert all(more - less < added * 20 for less, more in pairs)  # their names
    pairs = zip(few.runner.back["train"], many.runner.back["train"], strict=True)
    assert all(more - less < added * 100 for less, more in pairs)  # their receipts: no update more
    counted = sum(many.runner.back["evaluate_share"]) / 2 / 80
    assert counted < update / 30  # what all metrics of a hospital are computed from


def test_a_round_reads_its_weights_once_and_leaves_none_behind(
    make_job: Make, tmp_path: Path
) -> None:
    made = trial(make_job(3), tmp_path / "post")
    made.rounds(3)
    assert len(list((tmp_path / "post").iterdir())) == 1  # the last round's
    made.engine.close()
    assert list((tmp_path / "post").iterdir()) == []


def test_a_hospital_gets_its_own_state_alone(make_job: Make, tmp_path: Path) -> None:
    job = make_job(3, "algorithm.name=scaffold")
    made = trial(job, tmp_path / "post")
    now = made.rounds(1)
    out = handed(made.engine, [["hospital-1"], ["hospital-2"]], Order(2, now.weights), now.states)
    assert [list(states) for *_, states in out.shares] == [["hospital-1"], ["hospital-2"]]
    assert all(given.weights == {} for _, _, given, _ in out.shares)


def test_a_worker_that_finds_other_records_says_so(make_job: Make) -> None:
    home = home_of(make_job(3))
    assert list(local(home).sites) == ["hospital-1", "hospital-2", "hospital-3"]
    other = Home(home.project, home.config, "0" * 64)
    with pytest.raises(WardroundError, match="a worker found other records"):
        local(other)


def test_a_fault_at_a_worker_names_hospital_and_round(make_job: Make, tmp_path: Path) -> None:
    made = trial(
        make_job(3, "model.name=mlp", "algorithm.local.lr=1e30", "algorithm.local.epochs=3"),
        tmp_path / "post",
    )
    with pytest.raises(UpdateError, match=r"hospital 'hospital-1', round 1: tensor") as fault:
        made.rounds(1)
    again = cloudpickle.loads(cloudpickle.dumps(fault.value))
    assert (again.hospital, again.round, str(again)) == ("hospital-1", 1, str(fault.value))


def test_a_lost_worker_is_told_with_what_to_do(make_job: Make) -> None:
    with on_processes.started(1, None) as found, ProcessPoolExecutor(1) as pool:
        engine = Cluster(make_job(3), found)
        with pytest.raises(WardroundError, match=r"a worker was lost: .*resumes"), engine.watched():
            pool.submit(os._exit, 1).result()


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("run.parallel=false", "set run.parallel true"),
        ("engine.runner=dask", r"pip install 'wardround\[dask\]'"),
        ("engine.runner=ray", r"pip install 'wardround\[ray\]'"),
    ],
)
def test_a_runner_that_cannot_be_had_is_refused(
    make_job: Make, monkeypatch: pytest.MonkeyPatch, override: str, expected: str
) -> None:
    for name in ("distributed", "ray", "tasks.engine.on_dask", "tasks.engine.on_ray"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigError, match=expected), open_engine(make_job(3, override)):
        pass


def test_a_scheduler_that_does_not_answer_is_named(
    make_job: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_dask = pytest.importorskip("tasks.engine.on_dask")
    monkeypatch.setattr(on_dask, "SECONDS", 1)
    address = f"tcp://127.0.0.1:{free_port()}"
    job = make_job(3, "engine.runner=dask", f"engine.address={address}")
    with pytest.raises(ConfigError, match=f"engine.address {address}: no Dask"), open_engine(job):
        pass


@pytest.mark.parametrize("name", ["workers", "batched"])
def test_an_engine_of_one_place_has_no_runner(make_job: Make, name: str) -> None:
    with pytest.raises(ConfigError, match=f"engine.name {name} computes in one place"):
        make_job(3, f"engine.name={name}")


def test_an_address_is_of_a_cluster(make_job: Make) -> None:
    with pytest.raises(ConfigError, match="runner processes has no address"):
        make_job(3, "engine.address=tcp://127.0.0.1:8786")


def test_auto_never_has_other_bits_on_a_cluster(make_job: Make) -> None:
    assert make_job(20, "engine.runner=threads").batched
    assert not make_job(20).batched
