"""FLamby's Fed-Heart-Disease: 740 patients of the heart-disease data in a fixed benchmark form.

du Terrail et al. 2022 (NeurIPS), arXiv:2210.04620; FLamby's `fed_heart_disease/dataset.py`. slope,
ca and thal are left out, then every row with a missing cell. Chest pain and resting ECG become 0/1
columns without their first code, and those, like sex, are numeric: with data.scaling `hospital`
each hospital scales all 13 columns, as the benchmark does. (It divides by std + 1e-9, here a
constant column is divided by 1; the only one, chol in switzerland, is 0 either way.) The published
split comes with the rows: 34 % of each hospital for testing, with scikit-learn's seed 43.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from federated import records
from federated.datasets import heart_disease
from federated.errors import DataError
from federated.plugins import options
from federated.schema import Column, TableSchema
from federated.split import TEST, TRAIN

if TYPE_CHECKING:
    import pandas as pd

LEFT_OUT = ("slope", "ca", "thal")
CODED = {"cp": (2, 3, 4), "restecg": (1, 2)}
"""Columns that become 0/1 columns, and the codes that get one: all but the first."""
TRAINING_SHARE, SEED = 0.66, 43


def _column(column: Column) -> Column:
    bounds = {"low": 0.0, "high": 1.0} if column.kind == "binary" else {}
    return column.model_copy(update={"kind": "numeric", "codes": (), **bounds})


def _flag(name: str, code: int) -> Column:
    return Column(
        name=f"{name}={code}", kind="numeric", low=0, high=1, description=f"{name} {code}"
    )


_KEPT = [c for c in heart_disease.SCHEMA.columns if c.name not in (*LEFT_OUT, *CODED)]
SCHEMA = TableSchema(
    columns=(
        *(_column(c) for c in _KEPT),
        *(_flag(name, code) for name, codes in CODED.items() for code in codes),
    ),
    target=heart_disease.TARGET,
    classes=heart_disease.SCHEMA.classes,
)


@options
class FedHeartDisease:
    """path: the CSV of `heart_disease`, relative to the project or absolute, in UCI's row order."""

    path: str = "data/raw/heart_disease.csv"

    @property
    def files(self) -> tuple[str, ...]:
        """The raw file."""
        return (self.path,)

    def read(self, project: Path) -> records.Table:
        """The complete rows and their split; row numbers are the raw file's.

        Raises DataError for an absent file or column and for a hospital too small to be split.
        """
        whole = heart_disease.HeartDisease(path=self.path).read(project)
        names = [*(c.name for c in _KEPT), *CODED, heart_disease.TARGET]
        absent = [name for name in names if name not in whole.frame]
        if absent:
            raise DataError(f"{self.path}: there is no column {', '.join(map(repr, absent))}")
        cells = whole.frame[names].dropna()
        assert whole.hospitals is not None  # heart_disease always names them
        hospitals = whole.hospitals[cells.index]
        split = _published(cells[heart_disease.TARGET], hospitals, self.path)
        return records.Table(_coded(cells), SCHEMA, hospitals, self.path, split, notes=whole.notes)


def _coded(cells: pd.DataFrame) -> pd.DataFrame:
    """0/1 columns in place of codes; a cell that holds no known code stays, to be quarantined."""
    import pandas as pd

    columns = {c.name: cells[c.name] for c in _KEPT}
    for name, codes in CODED.items():
        found = pd.to_numeric(cells[name], errors="coerce")
        known = found.isin(next(c.codes for c in heart_disease.SCHEMA.columns if c.name == name))
        for code in codes:
            flag = (found == code).astype("int64").astype("str")
            columns[f"{name}={code}"] = flag.where(known, cells[name])
    return pd.DataFrame({**columns, heart_disease.TARGET: cells[heart_disease.TARGET]})


def _published(diagnosis: pd.Series[str], hospitals: pd.Series[str], where: str) -> pd.Series[int]:
    """Split codes, index as the rows'. Stratified where every class has more than two rows."""
    import pandas as pd
    from sklearn.model_selection import train_test_split

    split = pd.Series(TRAIN, index=diagnosis.index, dtype="uint8")
    ill = (diagnosis == SCHEMA.classes[1]).astype("int64")
    for hospital, labels in ill.groupby(hospitals):
        counts = labels.value_counts()
        try:
            _, test = train_test_split(
                labels.index,
                test_size=1.0 - TRAINING_SHARE,
                train_size=TRAINING_SHARE,
                random_state=SEED,
                stratify=labels if len(counts) > 1 and counts.min() > 2 else None,
            )
        except ValueError as error:
            raise DataError(
                f"{where}: hospital {hospital!r}: its {len(labels)} complete rows cannot be split "
                f"as the benchmark does ({error})"
            ) from error
        split[test] = TEST
    return split
