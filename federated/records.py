"""The frozen records on the way from a raw file to a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray
    from torch import Tensor

    from federated.schema import Coverage, ImageSchema, TableSchema


@dataclass(frozen=True)
class Table:
    """Raw rows as they stand in a file, nothing checked yet.

    frame: raw cells, index = row number (1 is the first row below the header); a class's cells
        are the schema's class names, or whatever else the file holds.
    hospitals: hospital of each row (same index), or None if the data set names none.
    source: the file or package the rows come from, for messages.
    """

    frame: pd.DataFrame
    schema: TableSchema
    hospitals: pd.Series[str] | None
    source: str


@dataclass(frozen=True)
class Images:
    """Raw images. pixels: uint8 [n, c, h, w]; labels: their targets; hospitals: str [n] or None."""

    pixels: NDArray[np.uint8]
    labels: NDArray[Any]
    schema: ImageSchema
    hospitals: NDArray[np.str_] | None
    source: str


@dataclass(frozen=True)
class RawHospital:
    """One hospital's checked rows before any scaling.

    features: float64 [n, F] with NaN for missing, or uint8 [n, c, h, w].
    targets: as `Split` has them. test: bool [n], True for rows kept for testing.
    """

    name: str
    features: Tensor
    targets: Tensor
    test: Tensor
    schema: TableSchema | ImageSchema
    coverage: Coverage

    @property
    def training_features(self) -> Tensor:
        """The rows that scaling may be fitted on."""
        return self.features[~self.test]
