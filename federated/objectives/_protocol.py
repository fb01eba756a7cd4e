"""What a question needs of the mathematics: the one thing that differs between kinds of targets."""

from typing import Any, ClassVar, Protocol

from numpy.typing import NDArray
from torch import Tensor

from federated.counts import Counts
from federated.metrics import Reading

Array = NDArray[Any]


class Objective(Protocol):
    """A frozen record of what is predicted. Targets are as `Split` holds them.

    outputs, targets: float [n, K] of the network and the rows' targets.
    """

    reading: ClassVar[Reading]

    @property
    def outputs(self) -> int:
        """K, how many numbers a model gives for a row."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the predictions' P columns."""

    @property
    def positive(self) -> str | None:
        """The class, of two, that AUPRC, F1 and calibration are of; None of other questions."""

    def loss(
        self,
        outputs: Tensor,
        targets: Tensor,
        weights: Tensor | None = None,
        reduction: str = "mean",
    ) -> Tensor:
        """What training descends: a scalar (`mean` or `sum`), or `none`: each row's part [n].

        weights: float [n], a row's weight w_i; the mean is then Σ w_i l_i / Σ w_i.
        Raises ValueError for shapes that do not fit, and for the mean of no rows.
        """

    def examples(self, targets: Tensor) -> int:
        """How many of these rows their mean loss is over: n_i, what a hospital's update weighs."""

    def row_weights(self, targets: Tensor) -> Tensor:
        """The weights [n] of `class_weights: balanced`. Raises ConfigError without classes."""

    def count(
        self,
        outputs: Tensor,
        targets: Tensor,
        score_bins: int,
        calibration_bins: int,
        threshold: float = 0.5,
    ) -> Counts:
        """Mergeable counts, computed in float64. Raises ValueError for what cannot be counted.

        threshold: the probability above which a yes/no question is answered with yes.
        """

    def predictions(self, outputs: Tensor) -> Tensor:
        """What the exported model answers, [n, P]."""

    def encode(self, columns: NDArray[Any]) -> Array:
        """Columns of `schema.targets`, float64 [n, k], NaN for none → targets [n] or [n, k]."""

    def strata(self, targets: Array) -> NDArray[Any]:
        """What split and partition stratify by: int64 [n], all 0 if by nothing."""

    def tally(self, targets: Array) -> dict[str, int]:
        """Rows by what coverage counts them by, such as class → rows."""
