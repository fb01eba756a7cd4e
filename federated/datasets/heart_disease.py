"""UCI Heart Disease: 920 patients of four hospitals, 13 findings; doi 10.24432/C52P4X.

Janosi, Steinbrunn, Pfisterer, Detrano 1988, CC BY 4.0; see data/raw/README.md. Blood pressure
and cholesterol of 0 are kept as published. Rows in any order; a hospital's own extract will do.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from federated import records
from federated.datasets._files import hospitals_of, read_table
from federated.errors import DataError
from federated.plugins import options
from federated.schema import Column, TableSchema

if TYPE_CHECKING:
    import pandas as pd

HOSPITAL, TARGET = "hospital", "num"
_NO_YES = (0.0, 1.0)


def _numeric(name: str, unit: str, low: float, high: float, description: str) -> Column:
    return Column(name=name, kind="numeric", unit=unit, low=low, high=high, description=description)


def _binary(name: str, description: str) -> Column:
    return Column(name=name, kind="binary", codes=_NO_YES, description=description)


def _coded(name: str, codes: tuple[float, ...], description: str) -> Column:
    return Column(name=name, kind="categorical", codes=codes, description=description)


SCHEMA = TableSchema(
    columns=(
        _numeric("age", "years", 0, 120, "age"),
        _binary("sex", "0 female, 1 male"),
        _coded("cp", (1, 2, 3, 4), "chest pain: 1 typical, 2 atypical, 3 non-anginal, 4 no pain"),
        _numeric("trestbps", "mm Hg", 0, 300, "resting blood pressure on admission"),
        _numeric("chol", "mg/dl", 0, 1000, "serum cholesterol"),
        _binary("fbs", "fasting blood sugar above 120 mg/dl"),
        _coded("restecg", (0, 1, 2), "resting ECG: 0 normal, 1 ST-T abnormality, 2 hypertrophy"),
        _numeric("thalach", "beats/min", 30, 250, "highest heart rate reached"),
        _binary("exang", "exercise-induced angina"),
        _numeric("oldpeak", "mm", -10, 10, "ST depression by exercise relative to rest"),
        _coded("slope", (1, 2, 3), "slope of the peak exercise ST segment: 1 up, 2 flat, 3 down"),
        _numeric("ca", "vessels", 0, 3, "major vessels coloured by fluoroscopy"),
        _coded("thal", (3, 6, 7), "thallium scan: 3 normal, 6 fixed, 7 reversable defect"),
    ),
    target=TARGET,
    classes=("no disease", "disease"),
)


@options
class HeartDisease:
    """path: the CSV, relative to the project or absolute."""

    path: str = "data/raw/heart_disease.csv"

    @property
    def files(self) -> tuple[str, ...]:
        """The raw file."""
        return (self.path,)

    def read(self, project: Path) -> records.Table:
        """Raw cells. Raises DataError if the file, its hospital or its target column is absent."""
        raw = read_table(project / self.path)
        frame = raw.frame
        for name in (HOSPITAL, TARGET):
            if name not in frame:
                raise DataError(f"{self.path}: there is no column {name!r}")
        hospitals = hospitals_of(frame, HOSPITAL, self.path)
        frame = frame.drop(columns=HOSPITAL).assign(**{TARGET: _diagnosis(frame[TARGET])})
        return records.Table(frame, SCHEMA, hospitals, self.path, notes=raw.notes)


def _diagnosis(num: pd.Series[str]) -> pd.Series[str]:
    """0 → no disease, 1 to 4 → disease; anything else stays as it is and is quarantined later."""
    import pandas as pd

    codes = pd.to_numeric(num, errors="coerce")
    absent, present = SCHEMA.classes
    named = num.astype("object").mask(codes == 0, absent).mask(codes.isin([1, 2, 3, 4]), present)
    return named.astype("str")
