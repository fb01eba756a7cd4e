"""Normalisation layers stay at the hospital, their statistics included.

FedBN: Li et al. 2021 (arXiv:2102.07623), algorithm 1.
"""

from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from federated.errors import ConfigError
from federated.local import LocalResult, LocalTask
from federated.personal import Personal
from federated.personal.layers import keep
from federated.plugins import options
from federated.types import Weights

_LAYERS = (_NormBase, nn.GroupNorm, nn.LayerNorm)


@options
class Norm(Personal):
    """No options: batch, instance, group and layer norms all stay."""

    def names(self, network: nn.Module) -> frozenset[str]:
        """Parameters and buffers of those layers. Raises ConfigError if there are none."""
        found = {
            f"{name}.{tensor}" if name else tensor
            for name, module in network.named_modules()
            if isinstance(module, _LAYERS)
            for tensor in module.state_dict()
        }
        if not found:
            raise ConfigError(
                "algorithm.personal.name norm: this model has no normalisation layer; choose "
                "resnet, or mlp with model.norm layer"
            )
        return frozenset(found)

    def train(self, rule: Any, task: LocalTask, own: Weights) -> tuple[LocalResult, Weights]:
        """The update without the normalisation layers, and these as training left them."""
        return keep(rule.train(task), task)
