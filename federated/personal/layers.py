"""Named layers stay at the hospital: the head, for instance.

FedPer: Arivazhagan et al. 2019 (arXiv:1912.00818), algorithm 1: body and head are trained
together, the body's update is sent. With the local rule `rep` this is FedRep.
"""

from dataclasses import replace
from typing import Annotated, Any

from pydantic import Field
from torch import nn

from federated.errors import ConfigError
from federated.local import LocalResult, LocalTask
from federated.personal import Personal
from federated.plugins import nearest, options
from federated.types import Weights
from federated.weights import floating


@options
class Layers(Personal):
    """layers: names of modules of the network that stay; None takes the last one that learns."""

    layers: Annotated[tuple[str, ...], Field(strict=False, min_length=1)] | None = None

    def names(self, network: nn.Module) -> frozenset[str]:
        """Tensors of those layers. Raises ConfigError for a layer that the network lacks."""
        learning = [n for n, m in network.named_modules() if [*m.parameters(recurse=False)]]
        wanted = self.layers or (learning[-1],)
        known = [name for name, _ in network.named_modules() if name]
        for layer in wanted:
            if layer not in known:
                raise ConfigError(
                    f"algorithm.personal.layers: the model has no layer {layer!r}; "
                    f"{nearest(layer, known)}"
                )
        prefixes = tuple(f"{layer}." for layer in wanted)
        own = frozenset(name for name in network.state_dict() if name.startswith(prefixes))
        return some_shared(own, network)

    def train(self, rule: Any, task: LocalTask, own: Weights) -> tuple[LocalResult, Weights]:
        """The update without the hospital's own tensors, and these as training left them."""
        return keep(rule.train(task), task)


def keep(result: LocalResult, task: LocalTask) -> tuple[LocalResult, Weights]:
    """Split a local result: what is shared to send, what is the hospital's own to keep."""
    trained = task.network.state_dict()
    own = {name: trained[name].detach().clone() for name in sorted(task.own)}
    shared = {name: t for name, t in result.delta.items() if name not in task.own}
    tensors = {name: t for name, t in result.tensors.items() if name not in task.own}
    buffers = {name: t for name, t in result.buffers.items() if name not in task.own}
    return replace(result, delta=shared, tensors=tensors, buffers=buffers), own


def some_shared(own: frozenset[str], network: nn.Module) -> frozenset[str]:
    """`own`, if it leaves something to share. Raises ConfigError if it does not."""
    if own >= floating(network.state_dict()).keys():
        raise ConfigError(
            "algorithm.personal: every layer of this model would stay at the hospitals and nothing "
            "be shared; choose a model with more layers (mlp, cnn, resnet)"
        )
    return own
