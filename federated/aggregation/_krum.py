"""Krum's score, which Krum, Multi-Krum and Bulyan choose by."""

import numpy as np

from federated.aggregation._stack import Array


def scores(squared: Array, f: int) -> Array:
    """Per row the sum of its squared distances to its n - f - 2 nearest others, at least one.

    squared: distances [n, n]. Blanchard et al. 2017, section 4, s(i). Bulyan comes down to fewer
    than f + 3 rows, where n - f - 2 would be none.
    """
    nearest = max(len(squared) - f - 2, 1)
    others = np.sort(squared, axis=1)[:, 1:]  # the first is the distance 0 to itself
    total: Array = others[:, :nearest].sum(axis=1)
    return total
