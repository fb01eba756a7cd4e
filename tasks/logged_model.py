"""The code that travels inside a logged model of tables (MLflow's "models from code": no pickle).

Loading the model runs this file in an environment that has torch and mlflow but not Wardround.
Its artifacts: `program.pt2`, a torch.export archive, raw features to predictions, preprocessing
included; `schema.json`, the columns; `layout.json`: {"predictions": [...], "hospitals": null or
{"column": …, "names": [...]}}; `cell_rules.py`, by which preparation read the training rows.
"""

import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import torch
from mlflow.exceptions import MlflowException
from mlflow.types.schema import DataType, Schema
from numpy.typing import NDArray

_SHOWN, _LETTERS, _NAMED = 5, 40, 20  # refused cells in one message, letters of each; hospitals


@dataclass(frozen=True)
class Refused:
    """A cell that the schema forbids. position: of its row, from 0. why: what it is, or is not."""

    position: int
    column: str
    why: str

    def in_words(self, cell: object) -> str:
        """For the caller, whose cell it is. Rows count from 1."""
        shown = repr(cell if isinstance(cell, str) else getattr(cell, "item", lambda: cell)())
        return f"row {self.position + 1}, column {self.column!r}: {shown[:_LETTERS]} is {self.why}"


class ScoringModel(mlflow.pyfunc.PythonModel):  # type: ignore[name-defined, misc]
    """Raw rows → a probability per class or label, a value, or a relative risk."""

    def load_context(self, context: Any) -> None:
        """Load program, schema and rules."""
        schema = json.loads(Path(context.artifacts["schema.json"]).read_text())
        self.layout = json.loads(Path(context.artifacts["layout.json"]).read_text())
        self.columns = [_column(column) for column in schema["columns"]]
        self._rules = _module(context.artifacts["cell_rules.py"])
        self._program = torch.export.load(context.artifacts["program.pt2"]).module()
        _read_cells_of_any_type_as_text()

    @property
    def names(self) -> list[str]:
        """The columns that a table must have."""
        hospitals = self.layout["hospitals"]
        return [*([hospitals["column"]] if hospitals else []), *(c.name for c in self.columns)]

    def predict(self, context, model_input: pd.DataFrame, params=None):  # type: ignore[no-untyped-def]
        """Predictions [n, P] of a table that has the signature's columns, whatever their types.

        Blank, None and NaN are missing. Raises MlflowException (of a server: status 400), naming
        row, column and cell, for what the schema forbids.
        """
        refused = self.refused(model_input)
        if refused:
            cells = (model_input[one.column].iloc[one.position] for one in refused[:_SHOWN])
            words = [one.in_words(cell) for one, cell in zip(refused, cells, strict=False)]
            more = [f"and {len(refused) - _SHOWN} more"] if len(refused) > _SHOWN else []
            raise MlflowException.invalid_parameter_value("; ".join([*words, *more]))
        return self.scored(model_input)

    def refused(self, table: pd.DataFrame) -> list[Refused]:
        """The cells that the schema forbids, row by row. Raises MlflowException for an absent
        column."""
        absent = [name for name in self.names if name not in table]
        if absent:
            known = ", ".join(map(str, table.columns))
            raise MlflowException.invalid_parameter_value(
                f"no column {', '.join(map(repr, absent))}; the table has {known}"
            )
        found = []
        for column in self.columns:
            for why, rule in self._rules.rules(column):
                at = np.flatnonzero(~rule(table[column.name]).to_numpy(dtype=bool))
                found += [Refused(int(i), column.name, why) for i in at]
        if self.layout["hospitals"]:
            at = np.flatnonzero(self._hospital(table) < 0)
            names = self.layout["hospitals"]["names"]
            more = f", … ({len(names)} in all)" if len(names) > _NAMED else ""
            why = f"none of this model's hospitals: {', '.join(names[:_NAMED])}{more}"
            found += [Refused(int(i), self.layout["hospitals"]["column"], why) for i in at]
        return sorted(_first_a_cell(found), key=lambda one: one.position)

    def values(self, table: pd.DataFrame) -> NDArray[np.float64]:
        """The columns as numbers, NaN for missing: what preparation makes of the same cells."""
        each = [self._rules.numbers(table[c.name], c).to_numpy() for c in self.columns]
        return np.column_stack(each).astype("float64")

    def scored(self, table: pd.DataFrame) -> pd.DataFrame:
        """Predictions of rows without a refused cell."""
        values = self.values(table)
        if self.layout["hospitals"]:
            values = np.column_stack([self._hospital(table), values])
        if len(values):
            with torch.inference_mode():
                found = self._program(torch.from_numpy(values)).numpy()
        else:
            found = np.empty((0, len(self.layout["predictions"])), dtype="float32")
        return pd.DataFrame(found, columns=self.layout["predictions"], index=table.index)

    def _hospital(self, table: pd.DataFrame) -> NDArray[np.float64]:
        """Each row's hospital as its place among the model's; -1 for another."""
        names = self._rules.hospitals(table[self.layout["hospitals"]["column"]])
        places = {name: i for i, name in enumerate(self.layout["hospitals"]["names"])}
        return np.array([places.get(name, -1) for name in names], dtype="float64")


def _column(declared: dict[str, Any]) -> SimpleNamespace:
    """A column as `cell_rules.py` asks for it, from the schema's JSON."""
    other = declared["codes"][-1] if declared.get("most") is not None else None
    return SimpleNamespace(**declared, other=other)


def _first_a_cell(refused: list[Refused]) -> list[Refused]:
    """The first reason of each cell."""
    first: dict[tuple[int, str], Refused] = {}
    for one in refused:
        first.setdefault((one.position, one.column), one)
    return list(first.values())


def _module(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location("wardround_cell_rules", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _read_cells_of_any_type_as_text() -> None:
    """Let MLflow's server read a CSV for a signature with columns of any type.

    A column of numbers comes as integers, floats or texts (with its marks for missing cells), and
    no other type of MLflow's takes them all; but its server asks pandas for a type of each column
    and knows none for `any`. Text loses nothing.
    """

    def pandas_types(schema: Schema) -> list[Any]:
        types = (one.type for one in schema.inputs)
        return [t.to_pandas() if isinstance(t, DataType) else np.dtype(object) for t in types]

    Schema.pandas_types = pandas_types  # type: ignore[assignment, method-assign]


mlflow.models.set_model(ScoringModel())
