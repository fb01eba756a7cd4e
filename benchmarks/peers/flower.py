"""Flower's simulation: Ray, one processor a client, its own FedAvg, evaluated centrally."""

import os
from functools import cache

import flwr
import ray
import torch
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg
from flwr.simulation import run_simulation
from torch import Tensor

from benchmarks.plain import Network, Rounds, Task, hospital, initial, task, train

client = ClientApp()
server = ServerApp()
given = task()


@cache
def loaded(told: Task, index: int) -> tuple[Network, Tensor, Tensor]:
    """A network and a hospital's rows, read once a worker process."""
    torch.set_num_threads(1)
    return Network(told.images), *hospital(told, index)


@client.train()
def local(message: Message, context: Context) -> Message:
    """One hospital's round."""
    model, inputs, targets = loaded(given, int(context.node_config["partition-id"]))
    model.load_state_dict(message.content["arrays"].to_torch_state_dict())
    train(model, inputs, targets, given)
    reply = {
        "arrays": ArrayRecord(model.state_dict()),
        "metrics": MetricRecord({"num-examples": len(inputs)}),
    }
    return Message(content=RecordDict(reply), reply_to=message)


@server.main()
def federation(grid: Grid, context: Context) -> None:
    """All rounds, then the answer."""
    model, rounds = initial(given), Rounds(given)

    def evaluate(number: int, arrays: ArrayRecord) -> None:
        if number:
            model.load_state_dict(arrays.to_torch_state_dict())
            rounds.ended(model)

    strategy = FedAvg(
        fraction_train=given.cohort / given.hospitals,
        fraction_evaluate=0.0,
        min_available_nodes=given.hospitals,
    )
    strategy.start(
        grid=grid,
        initial_arrays=ArrayRecord(model.state_dict()),
        num_rounds=given.rounds,
        train_config=ConfigRecord(),
        evaluate_fn=evaluate,
    )
    versions = {"flwr": flwr.__version__, "ray": ray.__version__, "torch": torch.__version__}
    rounds.print(versions)


def main() -> None:
    """Simulate on as many processors as there are."""
    processors = len(os.sched_getaffinity(0))
    resources = {"num_cpus": 1, "num_gpus": 0.0}
    start = {"num_cpus": processors, "include_dashboard": False}
    config = {"client_resources": resources, "init_args": start}
    run_simulation(server, client, given.hospitals, backend_config=config)


if __name__ == "__main__":
    from benchmarks.peers import flower  # Ray's workers look functions up by this name

    flower.main()
