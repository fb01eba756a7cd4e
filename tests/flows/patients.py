"""A made-up table of patients each of whom would be known again by a single cell."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from federated.schema import Column, TableSchema

TABLE, SCHEMA = "data/raw/patients.csv", "data/raw/schema.json"
BAD_CELLS: dict[str, float | str] = {
    "bad number": "see-the-mothers-file",
    "bad code": "canary-pain",
    "out of range": 98765.4321,
}


@dataclass(frozen=True)
class Patients:
    """frame: what the CSV holds. Ages and laboratory values are different in every row."""

    frame: pd.DataFrame

    def numbers(self) -> dict[str, float]:
        """Ages and laboratory values of the first patients of every hospital."""
        first = self.frame.groupby("site").head(5)
        return {
            f"{column} {number} of {site}": float(str(number))
            for column in ("age", "lab")
            for site, number in zip(first["site"], first[column], strict=True)
        }

    def notes(self) -> dict[str, str]:
        """The texts of the column that is left out."""
        return {str(text): str(text) for text in self.frame["note"]}


def made_up(rows: int = 40) -> Patients:
    """Three hospitals; the last rows of each hold the bad cells."""
    drawn = np.random.default_rng(5)
    lab: list[float | str] = list(drawn.uniform(10000, 90000, 3 * rows).round(6).tolist())
    pain = drawn.choice(["none", "some"], 3 * rows).tolist()
    for last in range(rows - 1, 3 * rows, rows):
        lab[last] = BAD_CELLS["bad number"]
        pain[last - 1] = BAD_CELLS["bad code"]
        lab[last - 2] = BAD_CELLS["out of range"]
    return Patients(
        pd.DataFrame(
            {
                "site": np.repeat(["north", "south", "west"], rows),
                "age": drawn.uniform(1000, 9999, 3 * rows).round(7),
                "lab": lab,
                "sex": drawn.integers(0, 2, 3 * rows),
                "pain": pain,
                "note": [f"patient-{drawn.integers(10**9)}" for _ in range(3 * rows)],
                "ill": drawn.integers(0, 2, 3 * rows),
            }
        )
    )


def write(patients: Patients, project: Path) -> None:
    """The CSV, and the schema that was agreed on before."""
    schema = TableSchema(
        columns=(
            Column(name="age", kind="numeric", low=0, high=10000),
            Column(name="lab", kind="numeric", low=0, high=90000),
            Column(name="sex", kind="binary", codes=(0, 1)),
            Column(name="pain", kind="categorical", codes=(0, 1), labels=("none", "some")),
        ),
        target="ill",
        classes=("0", "1"),
    )
    (project / TABLE).parent.mkdir(parents=True)
    patients.frame.to_csv(project / TABLE, index=False)
    (project / SCHEMA).write_text(schema.model_dump_json())
