"""Which engine a job runs on, and why."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner
from torch import Tensor, nn

from federated.batched import unfit
from federated.devices import placed, prepare
from federated.errors import ConfigError
from federated.site import predict
from tasks.engine import Engine
from tasks.engine.arena import arena
from tasks.engine.batched import Batched
from tasks.engine.cluster import Cluster
from tasks.engine.deal import rows_trained
from tasks.engine.local import Local
from tasks.engine.runner import started
from tasks.engine.workers import Workers
from tasks.job import Job, cores

_HEAVY = 2e9
"""Multiplications of a round from which worker processes save more than they cost to begin."""


_STREAMS = 4

_LIGHT = 1e8
"""Multiplications of a round up to which one thread is faster than several."""


def chosen(job: Job) -> str:
    """sequential, workers or batched.

    auto takes `batched` for many hospitals with a small model, whatever the machine: it is the one
    engine with other bits. Else `workers` where there is much to compute and more than one core.
    On CUDA it never takes `workers`. Raises ConfigError for an engine that cannot run the job.
    """
    wanted = job.config.engine.name
    why = unfit(next(iter(job.local.values())))
    if wanted == "batched" and why:
        raise ConfigError(f"engine.name batched: {why}; choose auto, sequential or workers")
    if job.batched:
        return "batched"
    if job.device.type == "cuda" and wanted == "workers":
        raise ConfigError(
            "engine.name workers is for the CPU: set run.device cpu, or engine.name auto"
        )
    if wanted != "auto" or job.device.type == "cuda":
        return "sequential" if wanted == "auto" else wanted
    return "workers" if lanes(job) > 1 and work(job) > _HEAVY else "sequential"


def lanes(job: Job) -> int:
    """Shares at a time: `engine.workers`, or one a core, or one if a round is light: what Python
    does takes turns, and threads then cost more than they save. On CUDA a lane is a stream."""
    if not job.config.run.parallel:
        return 1
    if job.device.type == "cuda":
        return min(job.config.engine.workers or _STREAMS, len(job.sites))
    fitting = cores() if work(job) > _LIGHT or job.config.engine.name == "workers" else 1
    return min(job.config.engine.workers or fitting, len(job.sites))


def work(job: Job) -> float:
    """Multiplications of one round over all hospitals, forward and backward, roughly."""
    site = next(iter(job.local.values()))
    row = 3.0 * multiplications(site.network, site.data.train.features[:1])
    return row * sum(rows_trained(one) for one in job.sites.values())


def multiplications(network: nn.Module, row: Tensor) -> int:
    """Of linear layers and convolutions, for one row [1, …]."""
    counted: list[int] = []

    def count(module: nn.Module, _: object, output: Tensor) -> None:
        weight: Tensor = module.weight  # type: ignore[assignment]
        counted.append(weight[0].numel() * output[0].numel())

    layers = [m for m in network.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    predict(network, row)
    for hook in hooks:
        hook.remove()
    return sum(counted)


@contextmanager
def open_engine(job: Job) -> Iterator[tuple[Job, Engine]]:
    """The engine, and the job whose hospitals' rows lie where the engine has them."""
    rules = job.config.algorithm.rules
    if job.deployed:
        from tasks.engine.sites import RemoteSite, Sites  # signatures and mail: 50 ms of imports

        remote = {h: site for h, site in job.sites.items() if isinstance(site, RemoteSite)}
        threads: TaskRunner[Any] = ThreadPoolTaskRunner(max_workers=len(remote))
        with threads as runner:
            yield job, Sites(rules, remote, job.objective, runner)
        return
    if job.config.engine.runner != "threads":
        with started(job) as found, closing(Cluster(job, found)) as cluster:
            yield job, cluster
        return
    name = chosen(job)
    prepare(job.device)
    if job.device.type != "cpu":
        job = replace(job, sites=placed(job.local, job.device))
    engine: Engine
    if name == "workers":
        rows = arena({h: site.data for h, site in job.local.items()})
        sites = {h: replace(site, data=rows.hospital(h)) for h, site in job.local.items()}
        job = replace(job, sites=sites)
        engine = Workers.begin(job.config, job.preprocess.encoding, sites, rows, lanes(job))
    elif name == "batched":
        engine = Batched(rules, job.local)
    else:
        engine = Local(rules, job.local, lanes(job))
    try:
        yield job, engine
    finally:
        engine.close()
