"""The weights a federation starts from: a function of model, shape and seed alone."""

from typing import Any

import torch
from torch import nn

from federated.coded import coded
from federated.seeds import seed
from federated.types import Weights


def build(
    architecture: Any, inputs: tuple[int, ...], outputs: int, run_seed: int, codes: int = 0
) -> nn.Module:
    """The network with its seeded initial weights; torch's global generator is left as it was.

    codes: how many of them end a row in place of one-hot inputs (`federated.encoding`).
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed("initial weights", run_seed))
        network: nn.Module = architecture.build(inputs, outputs)
    return coded(network, codes)


def weights_of(network: nn.Module) -> Weights:
    """A copy of the network's state."""
    return {name: t.detach().clone() for name, t in network.state_dict().items()}
