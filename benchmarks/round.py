"""Seconds per round and where they go: the parts one by one, then the whole flow around them.

The parts are called as the flow calls them, without Prefect and MLflow, in this process; the
flow's seconds per round are the difference between a long and a short run, so that start and end
cancel out. Ratios are to the bare round (train + check + aggregate + evaluate).

    python benchmarks/round.py [section.key=value ...]
"""

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tasks.environment import prepare_environment

ROUNDS, SHORT, LONG = 30, 5, 35


def main(overrides: Sequence[str]) -> None:
    """Measure and print the table."""
    prepare_environment(Path.cwd())
    for server in ("PREFECT", "PREFECT_SERVER"):
        os.environ.setdefault(f"{server}_LOGGING_LEVEL", "CRITICAL")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    parts = measure_parts(overrides)
    flow = measure_flow(overrides)
    bare = sum(seconds for name, seconds in parts.items() if name not in OUTSIDE)
    table = Table(title=f"one round, mean of {ROUNDS}", title_justify="left")
    for column in ("part", "ms", "× bare round"):
        table.add_column(column, justify="left" if column == "part" else "right")
    rows = {**parts, "bare round": bare, "round of the whole flow": flow}
    for name, seconds in rows.items():
        table.add_row(name, f"{seconds * 1e3:.1f}", f"{seconds / bare:.2f}")
    Console().print(table)


OUTSIDE = ("journal", "MLflow (in its own thread)")


def measure_parts(overrides: Sequence[str]) -> dict[str, float]:
    """Mean seconds of each part of a round."""
    from federated.checks import check_update
    from federated.config import load
    from federated.coordinator import aggregate, apply
    from federated.federation import Standing, learning
    from federated.initial import weights_of
    from federated.site import shared
    from federated.types import Order
    from tasks import tracking
    from tasks.job import load_job
    from tasks.journal import Journal
    from tasks.packed_counts import pack

    job = load_job(load(Path("params.yaml"), overrides), Path.cwd())
    rules = job.config.algorithm.rules
    weights = weights_of(job.network)
    state = rules.server.init(weights)
    clock = Clock()
    with tempfile.TemporaryDirectory() as scratch:
        journal = Journal(Path(scratch))
        tracked = tracking.open_run(
            uri=f"sqlite:///{scratch}/mlflow.db",
            project=Path(scratch),
            experiment="benchmark",
            name="benchmark",
            journal="benchmark",
            hospitals=job.data,
            parameters={},
            tags={},
        )
        for number in range(1, ROUNDS + 1):
            sites = list(job.local.values())
            with clock("train"):
                order = Order(number, weights)
                updates = [site.train(order, {}).update for site in sites]
            with clock("check"):
                like, measured = shared(weights, frozenset()), sites[0].buffers
                updates = [check_update(update, like, measured) for update in updates]
            with clock("aggregate"):
                combined = aggregate(rules, updates, weights, learning(job.sites))
                weights, state = apply(rules, weights, combined, state)
            with clock("evaluate"):
                counts = {site.hospital: site.evaluate(weights, {}).test for site in sites}
            with clock("journal"):
                standing = Standing(number, weights, state, {})
                receipts = [u.receipt for u in updates]
                record = journal.commit(standing, receipts, pack(counts), pack({}))
            with clock(OUTSIDE[1]):
                tracking.log_rounds(tracked, [record])
                tracking.log_weights(tracked, number, journal.weights_path(record.weights))
        journal.close()
    return {name: seconds / ROUNDS for name, seconds in clock.seconds.items()}


def measure_flow(overrides: Sequence[str]) -> float:
    """Seconds per round of the real flow, with Prefect, journal and MLflow."""
    from flows.federated_training import federated_training
    from tasks.server import prefect_server

    def seconds(rounds: int, name: str) -> float:
        own = [f"run.rounds={rounds}", "run.baselines=[]", f"run.name={name}"]
        begun = time.perf_counter()
        federated_training(overrides=[*overrides, *own], project=scratch)
        return time.perf_counter() - begun

    with tempfile.TemporaryDirectory() as scratch, prefect_server():
        shutil.copy("params.yaml", scratch)
        shutil.copytree("data/raw", f"{scratch}/data/raw")
        seconds(1, "warm")
        short, long = seconds(SHORT, "short"), seconds(LONG, "long")
    return (long - short) / (LONG - SHORT)


class Clock:
    """Adds up the seconds of blocks under a name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Add the time that the block takes."""
        begun = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - begun


if __name__ == "__main__":
    main(sys.argv[1:])
