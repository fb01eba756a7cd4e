"""The engines on one job: the same bits from threads and from worker processes."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import torch
import yaml

from federated.algorithm import compose
from federated.config import Config, load
from federated.counts import merge
from federated.errors import ConfigError, UpdateError, WardroundError
from federated.federation import Standing, advance, begin, learning, order, select
from federated.initial import weights_of
from federated.shares import combine
from federated.types import Order
from tasks.engine import Engine, Evaluation
from tasks.engine.arena import arena
from tasks.engine.batched import Batched
from tasks.engine.choose import chosen, lanes, multiplications, open_engine
from tasks.engine.deal import cut, deal, who
from tasks.engine.local import Local
from tasks.engine.shared_file import SharedFile
from tasks.job import Job, load_job
from tasks.packed_counts import unpack
from tests.conftest import ROOT, SMALL, merged


def test_deal_gives_the_costliest_first() -> None:
    assert deal(["a", "b", "c", "d"], [1, 5, 2, 3], 2) == [["a", "b"], ["c", "d"]]
    assert deal(["a"], [1], 2) == [["a"]]
    assert deal([], [], 2) == []


def test_few_hospitals_are_shares_of_their_own() -> None:
    few = [f"h{i}" for i in range(16)]
    two = Local(compose("fedavg", {}), {}, lanes=2)
    assert cut(few, [1] * 16, two) == [[h] for h in few]
    many = [*few, "h16"]
    halves = cut(many, [1] * 17, two)
    assert sorted(map(len, halves)) == [8, 9]
    assert who(halves[0], 1, 2) == "9 hospitals, share 1 of 2"
    assert who(["south"], 1, 3) == "south"
    assert cut(few, [1] * 16, Batched(compose("fedavg", {}), {})) == [few]


def test_a_shared_file_grows_and_has_no_name() -> None:
    one = SharedFile.create()
    assert one.write([b"ab", b"c"]) == 3
    other = SharedFile(os.dup(one.descriptor))
    assert other.read(3) == b"abc"
    assert one.write([bytes(100_000)]) == 100_000
    assert other.read(100_000) == bytes(100_000)
    assert os.fstat(one.descriptor).st_nlink == 0
    one.close()
    other.close()


@dataclass(frozen=True)
class Trial:
    """A synthetic job of three hospitals."""

    project: Path

    def job(self, *overrides: str) -> Job:
        """The job with these settings."""
        config: Config = load(self.project / "params.yaml", overrides)
        return load_job(config, self.project)


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    project = tmp_path_factory.mktemp("engine")
    values = merged(yaml.safe_load((ROOT / "params.yaml").read_text()), SMALL)
    values["data"]["validation_fraction"] = 0.2
    (project / "params.yaml").write_text(yaml.safe_dump(values))
    return Trial(project)


def test_rows_in_the_arena_are_the_rows(trial: Trial) -> None:
    data = {h: site.data for h, site in trial.job().sites.items()}
    made = arena(data)
    for hospital, held in data.items():
        shared = made.hospital(hospital)
        for part in ("train", "test", "validation"):
            assert torch.equal(getattr(shared, part).features, getattr(held, part).features)
            assert torch.equal(getattr(shared, part).targets, getattr(held, part).targets)


def rounds(job: Job, engine: Engine, count: int) -> tuple[Standing, Evaluation]:
    rules = job.config.algorithm.rules
    now = begin(rules, weights_of(job.network))
    for _ in range(count):
        names = select(rules, job.sites, now, seed=1)
        share = engine.train(names, order(rules, now, count), now.states)
        now = advance(
            rules, now, share.states, combine(rules, [share], now.weights, learning(job.sites))
        )
    return now, engine.evaluate(now.round, now.weights, now.states)


STOCHASTIC = ["model.name=mlp", "model.norm=batch", "model.dropout=0.3"]
MODELS = {
    "fedbn": ["model.name=mlp", "model.norm=layer"],
    "fedavg": STOCHASTIC,
    "ditto": STOCHASTIC,
}


@pytest.mark.parametrize("name", ["scaffold", "median", "fedbn", "fedavg", "ditto"])
def test_workers_and_threads_give_the_same_bits(trial: Trial, name: str) -> None:
    own = MODELS.get(name, [])
    found = []
    for engine_name in ("sequential", "workers"):
        job = trial.job(f"algorithm.name={name}", f"engine.name={engine_name}", *own)
        assert chosen(job) == engine_name
        with open_engine(job) as (held, engine):
            found.append(rounds(held, engine, 2))
    (one, counts), (two, others) = found
    assert all(torch.equal(one.weights[k], two.weights[k]) for k in one.weights)
    assert list(one.states) == list(two.states)
    for hospital, state in one.states.items():
        assert all(torch.equal(t, two.states[hospital][k]) for k, t in state.items())
    assert (counts.test.data, counts.validation.data) == (others.test.data, others.validation.data)
    for packed in (counts.test, counts.validation):
        assert packed.sum is not None
        assert packed.sum.metrics() == merge([*unpack(packed.data).values()]).metrics()


def test_threads_that_train_side_by_side_do_not_take_each_others_draws(trial: Trial) -> None:
    job = trial.job("engine.workers=3", "algorithm.local.epochs=5", *STOCHASTIC)
    given = Order(1, weights_of(job.network))
    with open_engine(job) as (_, engine), ThreadPoolExecutor(3) as threads:
        assert engine.lanes == 3

        def train(hospital: str) -> dict[str, torch.Tensor]:
            sums = engine.train([hospital], given, {}).sums
            assert sums is not None
            return sums.step.total

        alone = [train(hospital) for hospital in job.sites]
        beside = list(threads.map(train, job.sites))
    for one, other in zip(alone, beside, strict=True):
        assert all(torch.equal(one[k], other[k]) for k in one)


def test_a_workers_fault_is_raised_here_by_name(trial: Trial) -> None:
    job = trial.job("engine.name=workers", "model.name=mlp", "algorithm.local.lr=1e30")
    with open_engine(job) as (held, engine):
        given = Order(4, weights_of(job.network))
        with pytest.raises(UpdateError, match=r"hospital 'hospital-2', round 4: tensor"):
            engine.train(["hospital-2"], given, {})
        again = trial.job("engine.name=workers").sites  # the process lives on
        assert list(held.sites) == list(again)
        found = engine.evaluate(0, given.weights, {}).test
        assert unpack(found.data).keys() == held.sites.keys()


def workers() -> list[psutil.Process]:
    """The worker processes of this one."""
    mine = psutil.Process().children()
    return [one for one in mine if "tasks.engine.worker" in one.cmdline()]


def test_the_end_does_not_wait_for_what_nobody_asks_for_any_more(trial: Trial) -> None:
    job = trial.job("engine.name=workers", "engine.workers=1", "algorithm.local.epochs=100000")
    given = Order(1, weights_of(job.network))
    with ThreadPoolExecutor(1) as threads:
        with open_engine(job) as (_, engine):
            asked = threads.submit(engine.train, ["hospital-1"], given, {})
            time.sleep(1)  # it is asked; its answer would take minutes
        with pytest.raises(WardroundError, match="worker process ended"):
            asked.result()
    assert workers() == []


def test_a_killed_worker_is_told(trial: Trial) -> None:
    job = trial.job("engine.name=workers", "engine.workers=1")
    with open_engine(job) as (_, engine):
        (process,) = workers()
        process.kill()
        with pytest.raises(WardroundError, match=r"worker process ended .*exit code -9"):
            engine.train(["hospital-1"], Order(1, weights_of(job.network)), {})


def test_batched_is_refused_where_it_does_not_fit(trial: Trial) -> None:
    job = trial.job("engine.name=batched", "algorithm.name=scaffold")
    with pytest.raises(ConfigError, match=r"engine.name batched: .*algorithm.local.name sgd"):
        chosen(job)


def test_auto_takes_workers_for_convolutions_and_batches_for_many_small_models(
    trial: Trial,
) -> None:
    assert chosen(trial.job()) == "sequential"
    many = ["data.source={hospitals: 17, rows: 60, features: 4}"]
    assert chosen(trial.job(*many)) == "batched"
    assert chosen(trial.job(*many, "algorithm.name=scaffold")) == "sequential"


def test_a_light_round_has_one_lane_unless_more_are_asked_for(trial: Trial) -> None:
    assert lanes(trial.job()) == 1
    assert lanes(trial.job("engine.workers=2")) == 2
    assert lanes(trial.job("engine.workers=9")) == 3  # as many as hospitals
    assert lanes(trial.job("engine.workers=2", "run.parallel=false")) == 1


def test_multiplications_by_hand() -> None:
    network = torch.nn.Sequential(
        torch.nn.Conv2d(1, 2, 3), torch.nn.Flatten(), torch.nn.Linear(2 * 4, 5)
    )
    # 2 channels of 2×2 outputs, 9 products each; 5 outputs of 8 products
    assert multiplications(network, torch.zeros(1, 1, 4, 4)) == 2 * 4 * 9 + 5 * 8


def test_cuda_is_another_run_and_takes_no_worker_processes(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = trial.job("model.name=mlp").fingerprint
    monkeypatch.setattr("tasks.job.resolve", lambda wanted: torch.device("cuda"))
    there = trial.job("model.name=mlp")
    assert there.fingerprint != here
    assert there.computed == {"batched": False, "device": "cuda"}
    assert (chosen(there), lanes(there)) == ("sequential", 3)
    with pytest.raises(ConfigError, match="workers is for the CPU"):
        chosen(trial.job("engine.name=workers"))
