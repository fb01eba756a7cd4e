"""The final model as one program: raw features in, predictions out, preprocessing included.

`torch.export` writes a graph and tensors, no pickled objects. The input example is made up from
the schema's ranges and codes: no patient's row is in it.
"""

import copy
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from federated.objectives import Objective, objective_of
from federated.preprocessing import Preprocess
from federated.schema import Column, ImageSchema, TableSchema
from federated.types import Weights

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Scoring:
    """What MLflow gets: the program's bytes, how to feed it, and one made-up example.

    layout: columns, hospitals (None unless each has its own scaling) and names of predictions.
    """

    program: bytes
    layout: dict[str, list[str] | None]
    example: Any
    prediction: pd.DataFrame
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
    hospitals: list[str] | None,
    number: int,
) -> Scoring:
    """Export the model after round `number`.

    models: one for all, or one a hospital. hospitals: their names in the order of models and of
    scaling, if either is each hospital's own.
    """
    objective = objective_of(schema, preprocess.encoding.target)
    networks = [_loaded(network, weights) for weights in models]
    program = _Program(preprocess, networks, hospitals is not None, objective).eval()
    names = list(objective.columns)
    example: Any
    if isinstance(schema, TableSchema):
        columns: list[str] | None = [c.name for c in schema.columns]
        example = _example_table(schema, hospitals)
    else:
        columns = None
        example = _example_images(schema, hospitals)
    fed = torch.from_numpy(_fed(example, columns, hospitals))
    exported = torch.export.export(
        program, (fed,), dynamic_shapes={"raw": {0: torch.export.Dim("rows")}}
    )
    buffer = io.BytesIO()
    torch.export.save(exported, buffer)
    with torch.inference_mode():
        found = program(fed).numpy()
    return Scoring(
        program=buffer.getvalue(),
        layout={"columns": columns, "hospitals": hospitals, "predictions": names},
        example=example,
        prediction=pd.DataFrame(found, columns=names),
        round=number,
    )


def _loaded(network: nn.Module, weights: Weights) -> nn.Module:
    """A copy of the network with these weights."""
    own = copy.deepcopy(network)
    own.load_state_dict(weights)
    return own


def _fed(example: Any, columns: list[str] | None, hospitals: list[str] | None) -> Array:
    """The example as the program takes it (what `logged_model.py` does with a user's rows)."""
    if columns is None:
        return np.array(example, dtype=np.float32)
    values = np.array(example[columns], dtype=np.float32)
    if hospitals is None:
        return values
    index = example["hospital"].map(hospitals.index).to_numpy(dtype=np.float32)
    return np.column_stack([index, values])


def _example_table(schema: TableSchema, hospitals: list[str] | None) -> pd.DataFrame:
    """Three made-up rows from the schema's ranges and codes; the last has missing values."""
    rows = {c.name: [_typical(c), _typical(c, last=True), float("nan")] for c in schema.columns}
    frame = pd.DataFrame(rows, dtype="float64")
    if hospitals is not None:
        frame.insert(0, "hospital", [hospitals[i % len(hospitals)] for i in range(3)])
    return frame


def _typical(column: Column, *, last: bool = False) -> float:
    """A value that the schema allows."""
    if column.codes:
        return column.codes[-1 if last else 0]
    low = column.low if column.low is not None else 0.0
    high = column.high if column.high is not None else low + 1.0
    return low + (high - low) * (0.6 if last else 0.4)


def _example_images(schema: ImageSchema, hospitals: list[str] | None) -> Array:
    """A black and a grey image; flattened behind the hospital's index if scaling is its own."""
    grey = np.zeros((2, *schema.shape), dtype=np.float32)
    grey[1] = 128.0
    return grey if hospitals is None else np.insert(grey.reshape(2, -1), 0, [0, 1], axis=1)
