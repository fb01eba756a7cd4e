"""q-FedAvg: the worse the model is for a hospital, the more its update counts.

Li et al. 2020 (arXiv:1905.10497), algorithm 2, with Δw_i = -L u_i and L = 1/lr:
Δ = -Σ F_i^q Δw_i / Σ (q F_i^(q-1) ‖Δw_i‖² + L F_i^q), F_i the loss of the received weights. Both
sums are divided by L·(max F)^q, so nothing overflows, and no loss or update of 0 gives NaN:
Δ = Σ r_i u_i / Σ r_i (1 + q L ‖u_i‖²/F_i), r_i = (F_i / max F)^q.
"""

from collections.abc import Sequence
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from federated.aggregation._scalars import scalar
from federated.aggregation._stack import norms, stack
from federated.plugins import options
from federated.types import Update, Weights

_LEAST_LOSS = 1e-10  # as in the authors' code; F^(q-1) has no value at 0


@options
class Qfedavg:
    """q: fairness; 0 is the plain mean of hospitals. lr: 1/L, the local step size is a good one.

    ‖u_i‖ takes floating buffers in. Equal updates are shortened where q > 0: that is the
    algorithm's own step size.
    """

    q: Annotated[float, Field(ge=0)] = 1.0
    lr: Annotated[float, Field(gt=0)] = 0.1
    needs: ClassVar[frozenset[str]] = frozenset({"loss_before"})

    def aggregate(self, updates: Sequence[Update]) -> Weights:
        """Δ, float64. Raises ValueError without updates or without a hospital's loss."""
        all_ = stack(updates)
        losses = np.array([scalar(u, "loss_before") for u in all_.updates])
        losses = np.maximum(losses, _LEAST_LOSS)
        relative = (losses / losses.max()) ** self.q
        length = norms(all_.rows) ** 2
        scale = (relative * (1 + self.q * length / (self.lr * losses))).sum()
        return all_.weights((relative[:, None] * all_.rows).sum(axis=0) / scale)
