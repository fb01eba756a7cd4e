"""Apple's pfl: FederatedAveraging on the simulated backend, in one process or under torchrun."""

import os
from typing import Any

import numpy as np
import pfl.internal.ops.pytorch_ops
import pfl.version
import torch
from pfl.aggregate.simulate import SimulatedBackend
from pfl.algorithm.base import NNAlgorithmParams
from pfl.algorithm.federated_averaging import FederatedAveraging
from pfl.callback.base import TrainingProcessCallback
from pfl.data.dataset import Dataset
from pfl.data.federated_dataset import FederatedDataset
from pfl.hyperparam import NNTrainHyperParams
from pfl.metrics import Metrics, Weighted
from pfl.model.pytorch import PyTorchModel
from torch import Tensor, nn

from benchmarks.plain import Rounds, Task, everyone, initial, loss, task


class Module(nn.Module):
    """The network as pfl wants it."""

    def __init__(self, network: nn.Sequential) -> None:
        super().__init__()
        self.network = network

    def loss(self, inputs: Tensor, targets: Tensor, eval: bool = False) -> Tensor:
        """Mean loss of a batch."""
        self.train(not eval)
        return loss(self.network(inputs), targets)

    @torch.no_grad()
    def metrics(self, inputs: Tensor, targets: Tensor, eval: bool = False) -> dict[str, Any]:
        """None is asked for: the callback evaluates centrally, as everyone here does."""
        return {"rows": Weighted(len(inputs), 1)}


class Ended(TrainingProcessCallback):
    """Notes each round."""

    def __init__(self, rounds: Rounds) -> None:
        self.rounds = rounds

    def after_central_iteration(
        self, aggregate_metrics: Metrics, model: PyTorchModel, *, central_iteration: int
    ) -> tuple[bool, Metrics]:
        """Goes on."""
        self.rounds.ended(model.pytorch_model.network)
        return False, Metrics()


def data(given: Task) -> FederatedDataset:
    """Hospitals, drawn without replacement within a round; rows in a fresh order each time."""
    hospitals = everyone(given)
    drawn = np.random.default_rng(given.seed)
    waiting: list[int] = []

    def sample() -> int:
        if not waiting:
            waiting.extend(drawn.permutation(given.hospitals)[: given.cohort].tolist())
        return waiting.pop()

    def dataset(index: int) -> Dataset:
        inputs, targets = hospitals[index]
        order = torch.randperm(len(inputs))
        return Dataset([inputs[order], targets[order]], user_id=str(index))

    return FederatedDataset(dataset, sample)


def main() -> None:
    """All rounds, then the answer (from the first process)."""
    given = task()
    torch.manual_seed(given.seed)
    module, rounds = Module(initial(given)), Rounds(given)
    model = PyTorchModel(
        module, torch.optim.SGD, torch.optim.SGD(module.parameters(), 1.0)
    )  # the central step adds the mean update as it is
    hospitals = data(given)
    FederatedAveraging().run(
        NNAlgorithmParams(
            central_num_iterations=given.rounds,
            evaluation_frequency=given.rounds + 1,
            train_cohort_size=given.cohort,
            val_cohort_size=0,
        ),
        SimulatedBackend(hospitals, hospitals),
        model,
        NNTrainHyperParams(
            local_num_epochs=1 if given.steps is None else None,
            local_num_steps=given.steps,
            local_learning_rate=given.rate,
            local_batch_size=given.batch,
        ),
        callbacks=[Ended(rounds)],
    )
    if os.environ.get("RANK", "0") == "0":
        rounds.print({"pfl": pfl.version.__version__, "torch": torch.__version__})


if __name__ == "__main__":
    main()
