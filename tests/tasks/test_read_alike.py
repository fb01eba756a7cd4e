"""Whatever a file holds, the registered model reads a cell as preparation did, or refuses it."""

import json
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from federated import cell_rules
from federated.config import parse
from federated.errors import DataError
from federated.schema import TableSchema, parse_schema
from tasks import hospital_files, preparation
from tasks.logged_model import ScoringModel, _column, _module
from tests.conftest import ROOT

KINDS = {"numeric": ["lab", "age"], "binary": ["flag", "pair"], "categorical": ["code", "site"]}
CELLS = {
    "lab": ["12.5", " 12.50 ", "1e1", "-3", "7", "250000.25", "inf", "twelve", "<5", "unknown"],
    "age": ["40", "41", "42.0", " 43", "-9", "-9.0", "haemolysed", "x1"],
    "flag": ["0", "1", "1.0", " 0 ", "2", "yes"],
    "pair": ["1", "2", "1.0", "2.00", "3", "one"],
    "code": ["042", "0042", "42", "414", "V27", " V27", "v27", "1.0", "-9"],
    "site": ["a", "b", "c ", "d", "e", "None", "other", "true"],
}
BLANK = ["", "  ", ".", "NA", "?", "nan", "#N/A"]


@st.composite
def frames(draw: st.DrawFn) -> pd.DataFrame:
    """30 rows: a few of each column's cells, and what stands for a missing one."""
    columns = {}
    for name, cells in CELLS.items():
        some = draw(st.lists(st.sampled_from(cells), min_size=1, max_size=5, unique=True))
        blank = draw(st.lists(st.sampled_from(BLANK), max_size=1))
        choice = st.sampled_from([*some, *some, *blank])
        columns[name] = draw(st.lists(choice, min_size=30, max_size=30))
    return pd.DataFrame({"hospital": "h", **columns, "ill": ["yes", "no"] * 15})


def prepared(
    frame: pd.DataFrame, folder: Path, most: int | None
) -> tuple[TableSchema, NDArray[np.float64], set[str]]:
    """The schema, the features of all rows, and columns set aside as a whole."""
    frame.to_csv(folder / "file.csv", index=False)
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    values["data"] |= {"dataset": "table", "hospitals": []}
    values["data"]["source"] = {"path": "file.csv", "target": "ill", "hospital": "hospital"}
    values["data"]["source"] |= {"missing": ["-9"], "max_categories": most, **KINDS}
    preparation.prepare(parse(values).data, folder, folder / "out")
    schema = parse_schema((folder / "out" / "schema.json").read_text(), "schema")
    assert isinstance(schema, TableSchema)
    aside = hospital_files.read_coverage(folder / "out" / "h", "prepare").dropped_columns
    features = hospital_files.read_table(folder / "out" / "h", schema)["features"]
    return schema, features.numpy(), set(aside)


def model_of(schema: TableSchema) -> ScoringModel:
    """The code in a model, with no program."""
    model = ScoringModel()
    model.columns = [_column(c) for c in json.loads(schema.model_dump_json())["columns"]]
    model.layout = {"hospitals": None, "predictions": []}
    model._rules = _module(cell_rules.__file__)
    return model


@settings(max_examples=30, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(frame=frames(), most=st.sampled_from([None, 2]))
def test_prepared_and_scored_cells_are_the_same(frame: pd.DataFrame, most: int | None) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        try:
            schema, wanted, aside = prepared(frame, folder, most)
        except DataError:
            assume(False)
        model, path = model_of(schema), folder / "file.csv"
        names = [column.name for column in schema.columns]
        for how, exact in (
            ({"dtype": str, "keep_default_na": False}, True),
            ({"dtype": str}, True),
            ({}, False),
        ):
            table = pd.read_csv(path, **how)
            refused = {(one.position, one.column) for one in model.refused(table)}
            found = model.values(table)
            for i, name in ((i, n) for i, n in enumerate(names) if n not in aside):
                at = [(row, name) not in refused for row in range(len(table))]
                assert np.array_equal(found[at, i], wanted[at, i], equal_nan=True), (how, name)
                if exact:  # what is refused was a bad cell, read as missing
                    assert np.isnan(wanted[~np.array(at), i]).all(), (how, name)
