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
from federated.intervals import NONE, Estimate, Interval, mean, mean_of_sums, root, scaled
from federated.metrics import Measure, Metrics, Reading, metrics
from federated.objectives._rows import no_classes, reduced, require, require_some, wide
from federated.statistics import AS_IT_IS, TargetScale

UNIT = 2**48
"""1.0 of a target or an error in fixed point; a square is counted in 1 / UNIT²."""
_MOST = 1e60
"""Of a value or a prediction: fourth powers are still far from the end of float64."""

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
    counted="over its test rows their number, the sums of values, predictions, errors and absolute "
    "errors, and of their powers and products up to the fourth",
)


CONSTANT = "every prediction is the same, so R² says no more than how far it is from the mean"


@dataclass(frozen=True, eq=False)
class ValueCounts(Counts):
    """Exact sums over some rows of values y, predictions p and errors e = p - y.

    y, e, absolute (Σ|e|) in units of 1 / UNIT; y2 (Σy²), e2, p2 in 1 / UNIT²; y3, e2y (Σe²y) in
    1 / UNIT³; y4, e4, e2y2 in 1 / UNIT⁴.
    """

    reading: ClassVar[Reading] = READING
    signed: ClassVar[frozenset[str]] = frozenset({"y", "e", "y3", "e2y"})

    y: int
    y2: int
    y3: int
    y4: int
    e: int
    absolute: int
    e2: int
    e4: int
    e2y: int
    e2y2: int
    p2: int

    def consistent(self) -> bool:
        """Cauchy's inequality of every two of 1, y, e, y², e², p whose product is summed."""
        n = self.rows
        return (
            self.y**2 <= n * self.y2
            and self.e**2 <= n * self.e2
            and abs(self.e) <= self.absolute
            and self.absolute**2 <= n * self.e2
            and self.y2**2 <= n * self.y4
            and self.e2**2 <= n * self.e4
            and self.y3**2 <= self.y2 * self.y4
            and self.e2y**2 <= self.y2 * self.e4
            and self.e2y2**2 <= self.y4 * self.e4
            and (self.y + self.e) ** 2 <= n * self.p2
            and (self.p2 - self.y2 - self.e2) ** 2 <= 4 * self.y2 * self.e2
        )

    def metrics(self) -> Metrics:
        """loss: Σe²/n. r2: 1 - Σe² / (Σy² - (Σy)²/n), of these rows' own mean."""
        n = self.rows
        if not n:
            return metrics(0, dict.fromkeys((m.name for m in READING.measures), NONE))
        squared = scaled(self.e2 / (n * UNIT**2), self._spread(self.e2, self.e4), n)
        limits = squared.interval
        rmse = None if limits is None else Interval(sqrt(limits.low), sqrt(limits.high))
        alike = n > 1 and n * self.p2 == (self.y + self.e) ** 2
        off = root(max(n * self.e2 - self.e**2, 0), (n * UNIT) ** 2)
        bias = self.e / (n * UNIT)
        return metrics(
            n,
            {
                "loss": squared,
                "rmse": Estimate(value=root(self.e2, n * UNIT**2), interval=rmse),
                "mae": mean_of_sums(self.absolute, self.e2, n, UNIT),
                "r2": self._r2(),
                "bias": Estimate(value=bias, interval=mean(bias, off, n)),
            },
            notes=(CONSTANT,) if alike else (),
        )

    def _spread(self, total: int, squares: int) -> float:
        """The standard deviation of what is summed, in 1 / UNIT², and squared."""
        return root(max(self.rows * squares - total**2, 0), (self.rows * UNIT**2) ** 2)

    def _r2(self) -> Estimate:
        """1 - k, k = Σe² / Σd², d = y - mean; undefined where all y are equal.

        k's linear part in each row is (e² - k d²) / Σd², so its variance is the sum of squares.
        """
        n, m = self.rows, Fraction(self.y, self.rows)
        spread = self.y2 - m * self.y
        if not spread:
            return NONE
        k = self.e2 / spread
        d4 = self.y4 - 4 * m * self.y3 + 6 * m**2 * self.y2 - 3 * m**3 * self.y
        e2d2 = self.e2y2 - 2 * m * self.e2y + m**2 * self.e2
        squares = max((self.e4 - 2 * k * e2d2 + k**2 * d4) * n / spread**2, Fraction(0))
        found = scaled(float(k), root(squares.numerator, squares.denominator), n).interval
        limits = None if found is None else Interval(1 - found.high, 1 - found.low)
        return Estimate(value=float(1 - k), interval=limits)


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
        self,
        outputs: Tensor,
        targets: Tensor,
        score_bins: int,
        calibration_bins: int,
        threshold: float = 0.5,
    ) -> ValueCounts:
        """Sums; bins and threshold have no part in them.

        Raises ValueError for non-finite outputs or targets, or shapes that do not fit.
        """
        require(outputs, targets, 1, ())
        said, true = (
            self.predictions(wide(outputs))[:, 0],
            targets.detach().to("cpu", torch.float64),
        )
        if not bool(torch.isfinite(true).all()):
            raise ValueError("a target is not finite (NaN or infinity)")
        y, p = _fixed(true), _fixed(said)
        e = [mine - yours for mine, yours in zip(p, y, strict=True)]
        e2 = [value * value for value in e]
        return ValueCounts(
            rows=len(y),
            y=sum(y),
            y2=sum(value**2 for value in y),
            y3=sum(value**3 for value in y),
            y4=sum(value**4 for value in y),
            e=sum(e),
            absolute=sum(map(abs, e)),
            e2=sum(e2),
            e4=sum(value * value for value in e2),
            e2y=sum(a * b for a, b in zip(e2, y, strict=True)),
            e2y2=sum(a * b * b for a, b in zip(e2, y, strict=True)),
            p2=sum(value**2 for value in p),
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
    if not bool((values.abs() <= _MOST).all()):
        raise ValueError(f"a value or a prediction is too large to count: over {_MOST:.0e}")
    return [int(value) for value in torch.round(values * float(UNIT)).tolist()]
