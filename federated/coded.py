"""A first layer for rows that keep codes: 5,000 one-hot inputs of 10 columns are 10 numbers a row.

The layer's weights are those of the dense layer, under the same names and with the same initial
values, and so is its function, W x + b of the one-hot row; of W it reads one column a code.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from federated.errors import ConfigError


class Coded(nn.Module):
    """A linear layer over rows [n, P + K]: P inputs, then K codes, which are places in the D inputs
    that W [out, D] has; -1 is no input."""

    def __init__(self, dense: nn.Linear, codes: int) -> None:
        super().__init__()
        self.weight, self.bias, self.codes = dense.weight, dense.bias, codes

    def forward(self, rows: Tensor) -> Tensor:
        """[n, P + K] → [n, out]."""
        plain, codes = rows[:, : -self.codes], rows[:, -self.codes :].long()
        columns = F.embedding(codes.clamp(min=0), self.weight.t())  # [n, K, out]
        chosen = (columns * (codes >= 0)[..., None]).sum(dim=1)
        return F.linear(plain, self.weight[:, : plain.shape[1]], self.bias) + chosen


def coded(network: nn.Module, codes: int) -> nn.Module:
    """The network, its first layer taking rows that end in so many codes; itself if there are none.

    Raises ConfigError for a network that does not begin with a linear layer.
    """
    if codes == 0:
        return network
    layers = [*network.named_children()]
    first = next((pair for pair in layers if not isinstance(pair[1], nn.Flatten)), None)
    name, dense = first or ("", network)
    if not isinstance(network, nn.Sequential) or not isinstance(dense, nn.Linear):
        raise ConfigError(
            "model.name: the columns have too many categories for this model; choose logistic or "
            "mlp, or lower data.source.max_categories"
        )
    network.register_module(name, Coded(dense, codes))
    return network
