"""A table's way from its file to loaded hospitals, for tests that look at what comes out."""

from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from federated.config import DataConfig
from federated.records import RawHospital
from federated.schema import TableSchema
from tasks.coverage import notes
from tasks.preparation import load_hospital, partition, prepare
from tests.conftest import ROOT

CASES = ROOT.parent / "shared" / "cases"


class Read(NamedTuple):
    """Hospitals by name, their common schema, and what was said."""

    hospitals: dict[str, RawHospital]
    schema: TableSchema
    said: str

    def cells(self, hospital: str, column: str) -> list[float | None]:
        """A feature's values there, None where missing."""
        at = [c.name for c in self.schema.columns].index(column)
        values = self.hospitals[hospital].features[:, at].tolist()
        return [None if value != value else value for value in values]


def case(name: str) -> str:
    """The path of a sample file; the test is skipped where it is absent."""
    path = CASES / name
    if not path.is_file():
        pytest.skip(f"{path} is absent")
    return str(path)


def read(folder: Path, path: str, **source: Any) -> Read:
    """Prepare, partition (`partition`: another rule than natural) and load a table."""
    values = yaml.safe_load((ROOT / "params.yaml").read_text())["data"]
    rule = {"name": source.pop("partition", "natural")}
    values |= {"dataset": "table", "hospitals": [], "partition": rule, "min_rows": 2}
    data = DataConfig.model_validate({**values, "source": {"path": path, **source}})
    prepare(data, folder, folder / "prepared")
    names = partition(data, folder / "prepared", folder / "hospitals")
    hospitals = {name: load_hospital(folder / "hospitals" / name) for name in names}
    first = next(iter(hospitals.values()))
    assert isinstance(first.schema, TableSchema)
    return Read(
        hospitals, first.schema, " | ".join(notes([h.coverage for h in hospitals.values()]))
    )
