"""Made-up hospitals for tests of scale: sizes, label shift and feature shift as asked for.

Patients: x = m_h + ε with m_h ~ feature_shift·N(0, I), ε ~ N(0, I). Outcome: yes with
probability σ(3 w·x + b_h), w of unit length, b_h ~ label_shift·N(0, 1).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from federated import records
from federated.plugins import options
from federated.schema import Column, TableSchema
from federated.seeds import seed

if TYPE_CHECKING:
    from numpy.typing import NDArray

_STEEPNESS = 3.0
_LEAST_ROWS = 20
Share = Annotated[float, Field(ge=0, le=10)]


@options
class Synthetic:
    """hospitals: how many. rows: mean rows of a hospital. features: numeric columns.
    label_shift, feature_shift: spread between hospitals, 0 is none. size_skew: σ of log-normal
    sizes, 0 makes them equal; no hospital gets fewer than 20 rows (or `rows`). seed: its own."""

    hospitals: Annotated[int, Field(ge=1)] = 4
    rows: Annotated[int, Field(ge=2)] = 200
    features: Annotated[int, Field(ge=1)] = 10
    label_shift: Share = 0.0
    feature_shift: Share = 0.0
    size_skew: Share = 0.0
    seed: Annotated[int, Field(ge=0)] = 0

    @property
    def files(self) -> tuple[str, ...]:
        """None: the data are generated."""
        return ()

    def read(self, project: Path) -> records.Table:
        """About hospitals × rows rows, named hospital-1 …, in this order."""
        import pandas as pd

        generator = np.random.default_rng(seed("synthetic", self.seed))
        sizes = self._sizes(generator)
        owner = np.repeat(np.arange(self.hospitals), sizes)
        values, yes = self._patients(generator, owner)
        names = [f"x{i}" for i in range(1, self.features + 1)]
        index = pd.RangeIndex(1, len(owner) + 1)
        frame = pd.DataFrame(values, columns=names, index=index)
        frame["outcome"] = pd.Series(np.where(yes, "yes", "no"), index=index, dtype="str")
        schema = TableSchema(
            columns=tuple(Column(name=name, kind="numeric") for name in names),
            target="outcome",
            classes=("no", "yes"),
        )
        width = len(str(self.hospitals))
        labels = np.array([f"hospital-{i + 1:0{width}d}" for i in range(self.hospitals)])
        hospitals = pd.Series(labels[owner], index=index, dtype="str")
        return records.Table(frame, schema, hospitals, "synthetic data")

    def _sizes(self, generator: np.random.Generator) -> NDArray[np.int64]:
        """Rows of each hospital, int64 [hospitals]."""
        sigma = self.size_skew
        shape = generator.lognormal(-(sigma**2) / 2, sigma, self.hospitals)
        return np.maximum(np.rint(self.rows * shape), min(self.rows, _LEAST_ROWS)).astype(np.int64)

    def _patients(
        self, generator: np.random.Generator, owner: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Features float64 [n, F] and outcomes bool [n]; owner: hospital of each row."""
        direction = generator.standard_normal(self.features)
        direction /= np.linalg.norm(direction)
        centre = self.feature_shift * generator.standard_normal((self.hospitals, self.features))
        bias = self.label_shift * generator.standard_normal(self.hospitals)
        values = centre[owner] + generator.standard_normal((len(owner), self.features))
        logit = _STEEPNESS * (values @ direction) + bias[owner]
        return values, generator.random(len(owner)) < 1 / (1 + np.exp(-logit))
