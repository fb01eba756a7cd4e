"""FedLab: its standalone pipeline, hospitals one after another in one process.

Importing FedLab imports torchvision for its data sets, which nothing here uses; the index's
torchvision does not load beside torch's CPU build, so an empty module stands in for it.
"""

import random
import sys
from importlib.metadata import version
from types import ModuleType

import torch
from torch import Tensor

_VISION, _TRANSFORMS = ModuleType("torchvision"), ModuleType("torchvision.transforms")
vars(_VISION)["transforms"] = _TRANSFORMS
sys.modules |= {module.__name__: module for module in (_VISION, _TRANSFORMS)}

# ruff: noqa: E402
from fedlab.contrib.algorithm.basic_client import SGDSerialClientTrainer
from fedlab.contrib.algorithm.basic_server import SyncServerHandler
from fedlab.core.standalone import StandalonePipeline

from benchmarks.plain import Network, Rounds, Task, everyone, initial, task, train


class Trainer(SGDSerialClientTrainer):
    """FedLab's serial trainer around the local SGD that all peers share."""

    def __init__(self, given: Task) -> None:
        super().__init__(Network(given.images), given.hospitals)
        self.given, self.hospitals = given, everyone(given)

    def local_process(self, payload: list[Tensor], id_list: list[int]) -> None:
        """Train the cohort."""
        for index in id_list:
            self.set_model(payload[0])
            train(self.model, *self.hospitals[index], self.given)
            self.cache.append([self.model_parameters])


class Pipeline(StandalonePipeline):
    """Notes each round."""

    def __init__(self, handler: SyncServerHandler, trainer: Trainer, rounds: Rounds) -> None:
        super().__init__(handler, trainer)
        self.rounds = rounds

    def evaluate(self) -> None:
        """After each round."""
        self.rounds.ended(self.handler.model)


def main() -> None:
    """All rounds, then the answer."""
    given = task()
    torch.manual_seed(given.seed)
    random.seed(given.seed)
    share = (given.cohort + 0.5) / given.hospitals if given.cohort < given.hospitals else 1.0
    handler = SyncServerHandler(initial(given), given.rounds, share)  # it rounds down
    rounds = Rounds(given)
    Pipeline(handler, Trainer(given), rounds).main()
    rounds.print({"fedlab": version("fedlab"), "torch": torch.__version__})


if __name__ == "__main__":
    main()
