"""The final model as one program: raw features in, predictions out, preprocessing included.

`torch.export` writes a graph and tensors, no pickled objects. The input example is made up from
the schema's ranges, codes and labels: no patient's row is in it.
"""

import copy
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from federated import cell_rules
from federated.objectives import Objective, objective_of
from federated.preprocessing import Preprocess
from federated.schema import Column, ImageSchema, TableSchema
from federated.types import Weights

Pixels = NDArray[np.float32 | np.uint8]


@dataclass(frozen=True)
class ByHospital:
    """Hospitals that have their own scaling or model, in its order. column: where a table names
    them."""

    column: str
    names: Sequence[str]


@dataclass(frozen=True)
class Scoring:
    """What MLflow gets: the program's bytes, how to feed it, and one made-up example.

    predictions: of the example, named as they are to be called.
    """

    program: bytes
    schema: TableSchema | ImageSchema
    hospitals: ByHospital | None
    example: pd.DataFrame | Pixels
    predictions: pd.DataFrame
    round: int


class _Program(nn.Module):
    """Raw features float32 [n, ...] → predictions [n, P] of the objective."""

    def __init__(
        self, preprocess: Preprocess, networks: list[nn.Module], named: bool, objective: Objective
    ) -> None:
        super().__init__()
        self.objective = objective
        self.preprocess = preprocess
        self.networks = nn.ModuleList(networks)
        self.named = named

    def forward(self, raw: Tensor) -> Tensor:
        """Probabilities, a value or a relative risk.

        named: rows begin with the index of their hospital, whose network answers if each has its
        own.
        """
        known = self.preprocess.by_hospital or not self.named
        inputs = self.preprocess(raw if known else self.preprocess.without_hospital(raw))
        outputs = [network(inputs) for network in self.networks]
        if len(outputs) == 1:
            return self.objective.predictions(outputs[0])
        index = raw[:, 0].long()[:, None].expand(-1, outputs[0].shape[1])
        chosen = torch.stack(outputs).gather(0, index[None])[0]
        return self.objective.predictions(chosen)


def scoring(
    schema: TableSchema | ImageSchema,
    preprocess: Preprocess,
    network: nn.Module,
    models: list[Weights],
    hospitals: ByHospital | None,
    number: int,
) -> Scoring:
    """Export the model after round `number`.

    models: one for all, or one a hospital. hospitals: in the order of models and of scaling, if
    either is each hospital's own.
    """
    objective = objective_of(schema, preprocess.encoding.target)
    networks = [_loaded(network, weights) for weights in models]
    program = _Program(preprocess, networks, hospitals is not None, objective).eval()
    example: pd.DataFrame | Pixels
    if isinstance(schema, TableSchema):
        example = _example_table(schema, hospitals)
        fed = torch.from_numpy(_numbers(example, schema, hospitals))
    else:
        example = _example_images(schema, hospitals)
        fed = torch.from_numpy(example)
    exported = torch.export.export(
        program, (fed,), dynamic_shapes={"raw": {0: torch.export.Dim("rows")}}
    )
    buffer = io.BytesIO()
    torch.export.save(exported, buffer)
    with torch.inference_mode():
        found = program(fed).numpy()
    predictions = pd.DataFrame(found, columns=list(objective.columns))
    return Scoring(buffer.getvalue(), schema, hospitals, example, predictions, number)


def _loaded(network: nn.Module, weights: Weights) -> nn.Module:
    """A copy of the network with these weights."""
    own = copy.deepcopy(network)
    own.load_state_dict(weights)
    return own


def _numbers(
    table: pd.DataFrame, schema: TableSchema, hospitals: ByHospital | None
) -> NDArray[np.float64]:
    """The example as the program takes it (what `logged_model.py` does with a user's rows)."""
    each = [cell_rules.numbers(table[c.name], c).to_numpy() for c in schema.columns]
    if hospitals is not None:
        each.insert(0, table[hospitals.column].map(list(hospitals.names).index).to_numpy())
    return np.column_stack(each).astype("float64")


def _example_table(schema: TableSchema, hospitals: ByHospital | None) -> pd.DataFrame:
    """Three made-up rows from the schema's ranges and codes; the last has missing values."""
    frame = pd.DataFrame(
        {c.name: [_typical(c), _typical(c, last=True), None] for c in schema.columns}
    )
    if hospitals is not None:
        names = [hospitals.names[i % len(hospitals.names)] for i in range(3)]
        frame.insert(0, hospitals.column, names)
    return frame


def _typical(column: Column, *, last: bool = False) -> float | str:
    """A value that the schema allows."""
    allowed = column.labels or column.codes
    if allowed:
        return allowed[-1 if last else 0]
    low = column.low if column.low is not None else 0.0
    high = column.high if column.high is not None else low + 1.0
    return low + (high - low) * (0.6 if last else 0.4)


def _example_images(schema: ImageSchema, hospitals: ByHospital | None) -> Pixels:
    """A black and a grey image; flattened behind the hospital's index if scaling is its own."""
    grey = np.zeros((2, *schema.shape), dtype=np.uint8)
    grey[1] = 128
    if hospitals is None:
        return grey
    return np.insert(grey.reshape(2, -1).astype(np.float32), 0, [0, 1], axis=1)
