"""The tutorial's network, completed: two 5×5 convolutions of 10 and 20 channels.

For 28×28 images (LeCun et al. 1998, doi 10.1109/5.726791, in the size of PyTorch's MNIST
example). ReLU and max-pooling commute, so the pool comes first: the same numbers, and a quarter
of the ReLUs.
"""

from torch import nn

from federated.errors import ConfigError
from federated.plugins import options


@options
class Cnn:
    """No options."""

    def build(self, inputs: tuple[int, ...], outputs: int) -> nn.Module:
        """[n, channels, 28, 28] → [n, outputs]. Raises ConfigError for other images."""
        if len(inputs) != 3 or inputs[1:] != (28, 28):
            shape = "×".join(map(str, inputs))
            raise ConfigError(
                f"model.name cnn: needs images of 28×28, the data give {shape}; "
                "choose mlp or logistic for tables"
            )
        return nn.Sequential(
            nn.Conv2d(inputs[0], 10, 5),  # [n, 10, 24, 24]
            nn.MaxPool2d(2),
            nn.ReLU(),  # [n, 10, 12, 12]
            nn.Conv2d(10, 20, 5),  # [n, 20, 8, 8]
            nn.MaxPool2d(2),
            nn.ReLU(),  # [n, 20, 4, 4]
            nn.Flatten(),  # [n, 320]
            nn.Linear(320, 50),
            nn.ReLU(),
            nn.Linear(50, outputs),
        )
