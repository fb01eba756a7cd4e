"""The numbers that a hospital sends beside its update."""

import math

from federated.errors import UpdateError
from federated.types import Update


def scalar(update: Update, name: str) -> float:
    """update.scalars[name], finite and 0 or more.

    Raises ValueError, naming hospital and scalar, if it is absent: the local rule does not send
    it. Raises UpdateError for NaN, infinity and negative numbers.
    """
    if name not in update.scalars:
        raise ValueError(
            f"hospital {update.hospital!r} sends no {name!r}; choose a local rule that does"
        )
    value = float(update.scalars[name])
    if not math.isfinite(value) or value < 0:
        raise UpdateError(update.hospital, update.round, f"its {name!r} is {value}")
    return value
