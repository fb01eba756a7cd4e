"""A number: mean squared error, and the metrics that follow from exact sums.

Targets and errors are rounded once to multiples of 2^-48; their sums and sums of squares are then
whole numbers without bound, exact in any order and grouping.
"""

from dataclasses import dataclass
from fractions import Fraction
from math import sqrt
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from federated.counts import Counts
from federated.metrics import Measure, Metrics, Reading
from federated.objectives._rows import no_classes, reduced, require, require_some, wide
from federated.statistics import AS_IT_IS, TargetScale

UNIT = 2**48
"""1.0 of a target or an error in fixed point; a square is counted in 1 / UNIT²."""

READING = Reading(
    kind="regression",
    measures=(
        Measure("r2", "R²", True),
        Measure("mae", "Mean absolute error", False, "MAE"),
        Measure("rmse", "Root mean squared error", False, "RMSE"),
        Measure("loss", "Mean squared error", False, "MSE"),
        Measure("bias", "Mean error, predicted less true", None, "Bias"),
    ),
    main=("r2", "mae", "rmse"),
    loss="Mean squared error",
    undefined="R² needs test rows whose values differ",
    undefined_short="the test rows' values do not differ",
    groups="Targets",
    counted="over its test rows their number, the sum of the values and of their squares, and the "
    "sums of errors, absolute errors and squared errors",
)


@dataclass(frozen=True, eq=False)
class ValueCounts(Counts):
    """Exact sums over some rows of values y and errors e = prediction - y.

    y, e, absolute (Σ|e|) in units of 1 / UNIT; y2 (Σy²) and e2 (Σe²) in units of 1 / UNIT².
    """

    reading: ClassVar[Reading] = READING
    signed: ClassVar[frozenset[str]] = frozenset({"y", "e"})

    y: int
    y2: int
    e: int
    absolute: int
    e2: int

    def consistent(self) -> bool:
        """(Σy)² ≤ n Σy², (Σe)² ≤ n Σe², |Σe| ≤ Σ|e|."""
        return (
            self.y**2 <= self.rows * self.y2
            and self.e**2 <= self.rows * self.e2
            and abs(self.e) <= self.absolute
        )

    def metrics(self) -> Metrics:
        """loss: Σe²/n. r2: 1 - Σe² / (Σy² - (Σy)²/n), of these rows' own mean."""
        n = self.rows
        mse = Fraction(self.e2, n * UNIT**2) if n else None
        spread = n * self.y2 - self.y**2
        return Metrics(
            rows=n,
            loss=None if mse is None else float(mse),
            rmse=None if mse is None else sqrt(mse),
            mae=float(Fraction(self.absolute, n * UNIT)) if n else None,
            r2=float(1 - Fraction(n * self.e2, spread)) if spread else None,
            bias=float(Fraction(self.e, n * UNIT)) if n else None,
        )


@dataclass(frozen=True)
class Regression:
    """target: its name. Targets: float64 [n], in their own unit, as are counts and predictions.

    scaled: with center m and scale s a network's output o stands for the value m + s·o, and the
    loss is that of (y - m) / s: a step size means the same whatever the target's unit.
    """

    reading: ClassVar[Reading] = READING

    target: str
    scaled: TargetScale = AS_IT_IS

    @property
    def outputs(self) -> int:
        """1: the value."""
        return 1

    @property
    def columns(self) -> tuple[str, ...]:
        """The target."""
        return (self.target,)

    def loss(
        self,
        outputs: Tensor,
        targets: Tensor,
        weights: Tensor | None = None,
        reduction: str = "mean",
    ) -> Tensor:
        """Squared error in units of s²: (o - (y - m) / s)²."""
        require(outputs, targets, 1, ())
        require_some(targets, reduction)
        learnt = (targets - self.scaled.center) / self.scaled.scale
        return reduced((outputs.squeeze(1) - learnt.to(outputs.dtype)) ** 2, weights, reduction)

    def examples(self, targets: Tensor) -> int:
        """All rows."""
        return len(targets)

    def row_weights(self, targets: Tensor) -> Tensor:
        """Raises ConfigError: there are no classes."""
        raise no_classes("a number")

    def count(
        self, outputs: Tensor, targets: Tensor, score_bins: int, calibration_bins: int
    ) -> ValueCounts:
        """Sums; the bins have no part in them.

        Raises ValueError for non-finite outputs or targets, or shapes that do not fit.
        """
        require(outputs, targets, 1, ())
        said, true = (
            self.predictions(wide(outputs))[:, 0],
            targets.detach().to("cpu", torch.float64),
        )
        if not bool(torch.isfinite(true).all()):
            raise ValueError("a target is not finite (NaN or infinity)")
        y, e = _fixed(true), _fixed(said - true)
        return ValueCounts(
            rows=len(y),
            y=sum(y),
            y2=sum(value * value for value in y),
            e=sum(e),
            absolute=sum(map(abs, e)),
            e2=sum(value * value for value in e),
        )

    def predictions(self, outputs: Tensor) -> Tensor:
        """The value m + s·o, [n, 1]."""
        return self.scaled.center + self.scaled.scale * outputs

    def encode(self, columns: NDArray[Any]) -> NDArray[Any]:
        """float64 [n]."""
        return columns[:, 0]

    def strata(self, targets: NDArray[Any]) -> NDArray[Any]:
        """None: test rows are drawn from all."""
        return np.zeros(len(targets), dtype=np.int64)

    def tally(self, targets: NDArray[Any]) -> dict[str, int]:
        """Rows with a value."""
        return {self.target: len(targets)}


def _fixed(values: Tensor) -> list[int]:
    """Each value in units of 1 / UNIT, rounded to nearest. Raises ValueError on overflow."""
    scaled = values * float(UNIT)
    if not bool(torch.isfinite(scaled).all()):
        raise ValueError("a value or an error is too large to count")
    return [int(value) for value in torch.round(scaled).tolist()]
