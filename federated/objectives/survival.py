"""Time to an event: the Cox partial likelihood and Harrell's concordance, within one hospital.

Every risk set and every pair is of one hospital's patients, so the likelihood is stratified by
hospital (each has its own baseline hazard) and only sums and pair counts are shared.
"""

from dataclasses import dataclass
from math import sqrt
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from federated.counts import Counts, agree, fixed, squared
from federated.histograms import ONE
from federated.intervals import FEW, NONE, Estimate, mean_of_sums, odds, share
from federated.metrics import Measure, Metrics, Reading, metrics
from federated.objectives._rows import no_classes, require, require_some, wide

READING = Reading(
    kind="survival",
    measures=(
        Measure("c_index", "Concordance index", True, "C-index"),
        Measure("loss", "Loss", False),
        Measure("events", "Events", True),
    ),
    main=("c_index", "loss"),
    loss="Loss (nats per event)",
    undefined="the concordance index needs a patient with an event whom another outlived, the "
    "loss an event",
    undefined_short="no pair of test rows is known to differ",
    groups="Events",
    counted="over its test rows their number, that of events and of comparable, concordant and "
    "tied pairs, the sums over rows of squares of these, and the sums of the loss and its squares",
)
_EVENTS_AT_ONCE = 256


@dataclass(frozen=True, eq=False)
class SurvivalCounts(Counts):
    """Counts over some rows.

    events: rows with an event. loss: fixed-point sum of -log partial likelihood; loss2: of the
    events' squares, in 1 / ONE². comparable, concordant, tied: pairs of rows of one hospital, see
    `Survival.count`. Over rows, n the comparable pairs that a row is in, and c twice the concordant
    of them, ties once: n2 = Σn², nc = Σnc, c2 = Σc².
    """

    reading: ClassVar[Reading] = READING

    events: int
    loss: int
    loss2: int
    comparable: int
    concordant: int
    tied: int
    n2: int
    nc: int
    c2: int

    def consistent(self) -> bool:
        """No more events than rows, pairs than there can be, or outcomes than pairs; of Σn and Σc,
        which count each pair at both its rows, squares and products are within Cauchy's limits."""
        n, c = 2 * self.comparable, 4 * self.concordant + 2 * self.tied
        return (
            self.events <= self.rows
            and self.comparable <= self.events * (self.rows - 1)
            and n <= self.rows * (self.rows - 1)
            and self.concordant + self.tied <= self.comparable
            and agree(self.loss, self.loss2, self.events)
            and n**2 <= self.rows * self.n2 <= self.rows * (self.rows - 1) * n
            and c**2 <= self.rows * self.c2
            and self.nc**2 <= self.n2 * self.c2
            and self.c2 <= 2 * self.nc <= 4 * self.n2
        )

    def metrics(self) -> Metrics:
        """loss: nats per event. c_index: (concordant + tied/2) / comparable (Harrell et al. 1982).

        Of several hospitals: the mean of theirs, weighted by comparable pairs.
        """
        return metrics(
            self.rows,
            {
                "loss": mean_of_sums(self.loss, self.loss2, self.events, ONE),
                "c_index": self._c_index(),
                "events": Estimate(value=float(self.events)),
            },
        )

    def _c_index(self) -> Estimate:
        """The infinitesimal jackknife, on the log-odds scale: Therneau, Watson 2015, *The
        concordance statistic and the Cox model* (Mayo Clinic, report 85), section 3; the same is
        Newson 2006 (doi 10.1177/1536867X0600600302).

        A row's part in C is (c/2 - C n) / comparable. Of few events: of a share of so many.
        """
        if not self.comparable:
            return NONE
        c = (2 * self.concordant + self.tied) / (2 * self.comparable)
        squares = self.c2 / 4 - c * self.nc + c * c * self.n2
        if self.events < FEW or not 0 < c < 1 or squares <= 0:
            return Estimate(value=c, interval=share(c * self.events, self.events))
        return Estimate(value=c, interval=odds(c, sqrt(squares) / self.comparable))


@dataclass(frozen=True)
class Survival:
    """time, event: the columns' names. Targets: float64 [n, 2], time ≥ 0 and event 0 or 1."""

    reading: ClassVar[Reading] = READING

    time: str
    event: str

    @property
    def outputs(self) -> int:
        """1: the log hazard against the baseline."""
        return 1

    @property
    def columns(self) -> tuple[str, ...]:
        """The hazard relative to the baseline."""
        return ("relative_risk",)

    @property
    def positive(self) -> str | None:
        """None."""
        return None

    def loss(
        self,
        outputs: Tensor,
        targets: Tensor,
        weights: Tensor | None = None,
        reduction: str = "mean",
    ) -> Tensor:
        """-log partial likelihood over these rows, Breslow's for ties; the mean is per event.

        Cox 1972 (doi 10.1111/j.2517-6161.1972.tb00899.x), Breslow 1974 (doi 10.2307/2529620):
        Σ_i w_i δ_i (log Σ_{t_j ≥ t_i} w_j e^{o_j} - o_i). Risk sets are those of the rows given: a
        mini-batch approximates the hospital's, batch_size null is exact. weights > 0: a row of
        weight 2 counts as two. Rows without an event give 0, with a gradient of 0.
        """
        require(outputs, targets, 1, (2,))
        require_some(targets, reduction)
        hazard, time = outputs.squeeze(1), targets[:, 0]
        event = targets[:, 1].to(hazard.dtype)
        if weights is not None:
            event = event * weights
        terms = event * (_log_risk(hazard, time, weights) - hazard)
        if reduction == "none":
            return terms
        total = event.sum()
        return terms.sum() / total if reduction == "mean" and bool(total > 0) else terms.sum()

    def examples(self, targets: Tensor) -> int:
        """Rows with an event: weighted by them, hospitals' losses add up to the stratified one."""
        return int((targets[:, 1] > 0).sum())

    def row_weights(self, targets: Tensor) -> Tensor:
        """Raises ConfigError: there are no classes."""
        raise no_classes("a time to an event")

    def count(
        self,
        outputs: Tensor,
        targets: Tensor,
        score_bins: int,
        calibration_bins: int,
        threshold: float = 0.5,
    ) -> SurvivalCounts:
        """Counts; bins and threshold have no part in them.

        A pair (i, j) is comparable if i had an event and j is known to have had none by then:
        t_i < t_j, or t_i = t_j and j censored. It is concordant if i's hazard is the higher, tied
        if they are equal. Raises ValueError for non-finite outputs, times that are negative or not
        finite, events other than 0 and 1, or shapes that do not fit.
        """
        require(outputs, targets, 1, (2,))
        hazard, known = wide(outputs), targets.detach().to("cpu", torch.float64)
        time, event = known.unbind(dim=1)
        if not bool((torch.isfinite(time) & (time >= 0) & ((event == 0) | (event == 1))).all()):
            raise ValueError("a target is no time ≥ 0 with an event 0 or 1")
        pairs = _pairs(hazard[:, 0].numpy(), time.numpy(), event.numpy() > 0)
        terms = self.loss(hazard, known, reduction="none")
        return SurvivalCounts(
            rows=len(known),
            events=int(event.sum()),
            loss=fixed(float(terms.sum()), "loss"),
            loss2=squared(terms.numpy(), "loss"),
            **pairs,
        )

    def predictions(self, outputs: Tensor) -> Tensor:
        """The relative hazard e^o, [n, 1]."""
        return torch.exp(outputs)

    def encode(self, columns: NDArray[Any]) -> NDArray[Any]:
        """float64 [n, 2] as it is."""
        return columns

    def strata(self, targets: NDArray[Any]) -> NDArray[Any]:
        """The event."""
        return targets[:, 1].astype(np.int64)

    def tally(self, targets: NDArray[Any]) -> dict[str, int]:
        """Rows with an event, and censored rows."""
        events = int(targets[:, 1].sum())
        return {"event": events, "censored": len(targets) - events}


def _log_risk(hazard: Tensor, time: Tensor, weights: Tensor | None) -> Tensor:
    """log Σ_{t_j ≥ t_i} w_j e^{o_j} of every row i, [n]."""
    order = torch.argsort(time, descending=True, stable=True)
    terms = hazard if weights is None else hazard + weights.log()
    summed = torch.logcumsumexp(terms[order], dim=0)
    earlier = -time[order]  # ascending; the last of equal times has all of them in its sum
    return summed[torch.searchsorted(earlier, -time, right=True) - 1]


def _pairs(
    hazard: NDArray[np.float64], time: NDArray[np.float64], event: NDArray[np.bool_]
) -> dict[str, int]:
    """Of pairs what `SurvivalCounts` has, some events at a time to bound the memory."""
    n, right, tied = np.zeros((3, len(time)), dtype=np.int64)
    events = np.flatnonzero(event)
    for start in range(0, len(events), _EVENTS_AT_ONCE):
        first = events[start : start + _EVENTS_AT_ONCE]
        some = first[:, None]
        later = (time[some] < time) | ((time[some] == time) & ~event)
        above, level = later & (hazard[some] > hazard), later & (hazard[some] == hazard)
        for total, pairs in ((n, later), (right, above), (tied, level)):
            total[first] += pairs.sum(axis=1)
            total += pairs.sum(axis=0)
    c = 2 * right + tied
    return {
        "comparable": int(n.sum()) // 2,
        "concordant": int(right.sum()) // 2,
        "tied": int(tied.sum()) // 2,
        "n2": int(n @ n),
        "nc": int(n @ c),
        "c2": int(c @ c),
    }
