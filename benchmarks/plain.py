"""What the plain loop and every peer share: the data file, the network, local SGD, the accuracy.

Needs torch and safetensors alone, so that it runs in a peer's environment. The file is written by
`hospitals.py` from what Wardround itself trains on, initial weights included.
"""

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import safetensors
import torch
import torch.nn.functional as F
from torch import Tensor, nn

Weights = dict[str, Tensor]
TASK = "BENCHMARK_TASK"


@dataclass(frozen=True)
class Task:
    """A case as a peer sees it. file: its data; the rest is `cases.Case`."""

    file: str
    hospitals: int
    cohort: int
    rows: int
    batch: int
    rounds: int
    rate: float
    steps: int | None
    images: bool
    seed: int


def task() -> Task:
    """The task that this process was given, as JSON in its environment. One thread from here on."""
    torch.set_num_threads(1)
    return Task(**json.loads(os.environ[TASK]))


class Network(nn.Sequential):
    """The tutorial's CNN for [n, 1, 28, 28], or a logistic regression of 13 numbers; layer by layer
    as Wardround's models/."""

    def __init__(self, images: bool) -> None:
        if images:
            super().__init__(
                nn.Conv2d(1, 10, 5),
                nn.MaxPool2d(2),
                nn.ReLU(),
                nn.Conv2d(10, 20, 5),
                nn.MaxPool2d(2),
                nn.ReLU(),
                nn.Flatten(),
                nn.Linear(320, 50),
                nn.ReLU(),
                nn.Linear(50, 10),
            )
        else:
            super().__init__(nn.Flatten(), nn.Linear(13, 1))


def hospital(given: Task, index: int) -> tuple[Tensor, Tensor]:
    """Training inputs float32 and targets int64 of one hospital, read from the file."""
    rows = slice(index * given.rows, (index + 1) * given.rows)
    with safetensors.safe_open(given.file, framework="pt") as file:
        return file.get_slice("train.inputs")[rows], file.get_slice("train.targets")[rows]


def everyone(given: Task) -> list[tuple[Tensor, Tensor]]:
    """All hospitals' training rows."""
    return [hospital(given, index) for index in range(given.hospitals)]


def test_rows(given: Task) -> tuple[Tensor, Tensor]:
    """All hospitals' test rows."""
    with safetensors.safe_open(given.file, framework="pt") as file:
        return file.get_tensor("test.inputs"), file.get_tensor("test.targets")


def initial(given: Task) -> Network:
    """The network with the weights that Wardround begins from."""
    model = Network(given.images)
    with safetensors.safe_open(given.file, framework="pt") as file:
        names = [name for name in file.keys() if name.startswith("weights.")]  # noqa: SIM118
        model.load_state_dict({n.removeprefix("weights."): file.get_tensor(n) for n in names})
    return model


def loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy; outputs [n, classes], or [n, 1] of a yes/no question."""
    if outputs.shape[1] == 1:
        return F.binary_cross_entropy_with_logits(outputs[:, 0], targets.float())
    return F.cross_entropy(outputs, targets)


def train(model: nn.Module, inputs: Tensor, targets: Tensor, given: Task) -> int:
    """One round's local SGD, in place: an epoch, or `steps` steps; how many steps it took."""
    optimiser = torch.optim.SGD(model.parameters(), lr=given.rate)
    model.train()
    done = 0
    while True:
        for batch in torch.split(torch.randperm(len(inputs)), given.batch):
            optimiser.zero_grad()
            loss(model(inputs[batch]), targets[batch]).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            done += 1
            if done == given.steps:
                return done
        if given.steps is None:
            return done


def accuracy(model: nn.Module, inputs: Tensor, targets: Tensor) -> float:
    """Share of rows that the model is right about."""
    model.eval()
    with torch.inference_mode():
        outputs = torch.cat([model(part) for part in torch.split(inputs, 1024)])
    found = outputs[:, 0] > 0 if outputs.shape[1] == 1 else outputs.argmax(dim=1)
    return float((found == targets).double().mean())


class Rounds:
    """Notes when each round ended, and how right its model was."""

    def __init__(self, given: Task) -> None:
        self.given = given
        self.test = test_rows(given)
        self.times: list[float] = []
        self.accuracy = 0.0

    def ended(self, model: nn.Module) -> None:
        """Evaluate the round's model on all test rows, and take the time after it."""
        self.accuracy = accuracy(model, *self.test)
        self.times.append(time.perf_counter())

    def print(self, versions: Mapping[str, Any]) -> None:
        """The answer, as one line of JSON."""
        values = {"times": self.times, "accuracy": self.accuracy, "versions": dict(versions)}
        print(json.dumps(values), flush=True)
