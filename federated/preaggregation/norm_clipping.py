"""No update is longer than c: u_i ← u_i · min(1, c/‖u_i‖) (Sun et al. 2019, arXiv:1911.07963).

One hospital alone can no longer carry the mean off, but it still pulls with length c in any
direction: this bounds harm, and tolerates no number f of faulty hospitals by itself.
"""

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from pydantic import Field

from federated.aggregation._stack import norms, stack
from federated.plugins import options
from federated.preaggregation._prepared import prepared
from federated.types import Update


@options
class NormClipping:
    """norm: c, Euclidean over all tensors; null takes the median of this round's norms."""

    norm: Annotated[float, Field(gt=0)] | None = None

    def prepare(self, updates: Sequence[Update]) -> list[Update]:
        """Updates no longer than c are kept to the bit."""
        all_ = stack(updates)
        lengths = norms(all_.rows)
        most = float(np.median(lengths)) if self.norm is None else self.norm
        over = lengths > most
        factors = np.divide(most, lengths, out=np.ones_like(lengths), where=over)
        return prepared(updates, all_, factors[:, None] * all_.rows)
