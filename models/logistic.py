"""Logistic regression: one linear layer on the flattened row."""

import math

from torch import nn

from federated.plugins import options
from federated.schema import outputs


@options
class Logistic:
    """No options."""

    def build(self, inputs: tuple[int, ...], classes: int) -> nn.Module:
        """[n, *inputs] → logits [n, K]."""
        return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(inputs), outputs(classes)))
