"""The frozen records on the way from a raw file to a model."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from federated.errors import DataError
from federated.patients import distinct
from federated.split import TEST, TRAIN, VALIDATION

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray
    from torch import Tensor

    from federated.schema import Coverage, ImageSchema, TableSchema

BadCells = Literal["missing", "quarantine", "refuse"]
"""What a cell that the schema forbids becomes: a missing one, the end of its row, an error."""
SPLIT = "split"
"""Name of the column, or tensor, that keeps a published split among the prepared records."""
PATIENT, TIME = "patient_code", "split_time"
"""Names of the columns, or tensors, of whose a row is and when it was: whole numbers, no ids."""


@dataclass(frozen=True)
class Table:
    """Raw rows as they stand in a file, nothing checked yet.

    frame: raw cells, index = row number (1 is the first row below the header); a class's cells
        are the schema's class names, or whatever else the file holds.
    hospitals: hospital of each row (same index), or None if the data set names none.
    source: the file or package the rows come from, for messages.
    split: the data set's own split, if it was published with one: what each row is for, codes of
        `federated.split` (same index).
    patients: the patient of each row (same index), or None if the data name none.
    times: when each row was, the larger the later (same index), if it is to be split by time.
    notes: sentences for the user about what was inferred or left out in reading the file.
    bad_cells: what becomes of cells that the schema forbids, and of their rows.
    """

    frame: pd.DataFrame
    schema: TableSchema
    hospitals: pd.Series[str] | None
    source: str
    split: pd.Series[int] | None = None
    patients: pd.Series[str] | None = None
    times: pd.Series[int] | None = None
    notes: tuple[str, ...] = ()
    bad_cells: BadCells = "quarantine"

    def __post_init__(self) -> None:
        names = [*(column.name for column in self.schema.columns), self.schema.target]
        if self.split is not None and (self.patients is not None or self.times is not None):
            raise DataError(f"{self.source}: has a published split, which patients or times break")
        for special, given in ((SPLIT, self.split), (PATIENT, self.patients), (TIME, self.times)):
            if given is not None and special in names:
                raise DataError(
                    f"{self.source}: a column is called {special!r}, as one is that is written "
                    "beside the rows; rename it"
                )


@dataclass(frozen=True)
class Images:
    """Raw images. pixels: uint8 [n, c, h, w]; labels: their targets; hospitals: str [n] or None.

    split: the data set's own split, if it was published with one: codes of `federated.split`,
        uint8 [n].
    """

    pixels: NDArray[np.uint8]
    labels: NDArray[Any]
    schema: ImageSchema
    hospitals: NDArray[np.str_] | None
    source: str
    split: NDArray[np.uint8] | None = None


@dataclass(frozen=True)
class RawHospital:
    """One hospital's checked rows before any scaling.

    features: float64 [n, F] with NaN for missing, or uint8 [n, c, h, w].
    targets: as `Split` has them.
    split: uint8 [n], what each row is for (`federated.split`: TRAIN, TEST or VALIDATION).
    patients: int64 [n], whose each row is, as 0, 1, …; None if the data name no patients.
    """

    name: str
    features: Tensor
    targets: Tensor
    split: Tensor
    schema: TableSchema | ImageSchema
    coverage: Coverage
    patients: Tensor | None = None

    @property
    def train(self) -> Tensor:
        """bool [n], True for rows to train on."""
        return self.split == TRAIN

    @property
    def trains_on(self) -> int:
        """Training patients where the data name patients, else training rows."""
        whose = self.training_patients
        return int(self.train.sum()) if whose is None else distinct(whose)

    @property
    def test(self) -> Tensor:
        """bool [n], True for rows kept for testing."""
        return self.split == TEST

    @property
    def validation(self) -> Tensor:
        """bool [n], True for rows that choose between rounds."""
        return self.split == VALIDATION

    @property
    def training_features(self) -> Tensor:
        """The rows that scaling may be fitted on; missing where too few patients have a value."""
        import torch

        from federated.statistics import FEWEST_PATIENTS

        rows = self.features[self.train]
        whose = self.training_patients
        if whose is None:
            return rows
        enough = [distinct(whose[~cells.isnan()]) >= FEWEST_PATIENTS for cells in rows.unbind(1)]
        return rows.where(torch.tensor(enough), math.nan)

    @property
    def training_patients(self) -> Tensor | None:
        """Whose each training row is."""
        return None if self.patients is None else self.patients[self.train]
