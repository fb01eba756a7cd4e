"""A linear model, one layer on the flattened row: logistic regression of one or more classes.

The objective makes it what it is: with a value as target linear regression, with survival Cox
regression, with labels one logistic regression a label.
"""

import math

from torch import nn

from federated.plugins import options


@options
class Logistic:
    """No options."""

    def build(self, inputs: tuple[int, ...], outputs: int) -> nn.Module:
        """[n, *inputs] → [n, outputs]."""
        return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(inputs), outputs))
