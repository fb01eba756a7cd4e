"""The code that travels inside the logged model (MLflow's "models from code": no pickle).

Loading the model runs this file in an environment that has torch and mlflow but not Wardround.
Its artifacts: `program.pt2`, a torch.export archive, raw features to predictions, preprocessing
included; `layout.json`: {"columns": [...] | null, "hospitals": [...] | null, "predictions": [...]}.
"""

import json
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray


class ScoringModel(mlflow.pyfunc.PythonModel):  # type: ignore[name-defined, misc]
    """Raw rows → a probability per class or label, a value, or a relative risk."""

    def load_context(self, context: Any) -> None:
        """Load program and layout."""
        self._layout = json.loads(Path(context.artifacts["layout.json"]).read_text())
        self._program = torch.export.load(context.artifacts["program.pt2"]).module()

    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]
        """Predictions [n, P] of a table with the signature's columns, or of images.

        Missing values are NaN or None. Raises ValueError for an unknown hospital. No type hints:
        MLflow would take them for the signature, which is logged with the model.
        """
        rows = self._table(model_input) if self._layout["columns"] else model_input
        features = torch.from_numpy(np.array(rows, dtype=np.float32))
        with torch.inference_mode():
            found = self._program(features).numpy()
        index = getattr(model_input, "index", None)
        return pd.DataFrame(found, columns=self._layout["predictions"], index=index)

    def _table(self, frame: pd.DataFrame) -> NDArray[np.float32]:
        values = np.array(frame[self._layout["columns"]], dtype=np.float32)
        hospitals = self._layout["hospitals"]
        if hospitals is None:
            return values
        unknown = sorted(set(frame["hospital"]) - set(hospitals))
        if unknown:
            raise ValueError(
                f"no scaling is known for hospital {', '.join(map(repr, unknown))}; "
                f"known: {', '.join(hospitals)}"
            )
        index = frame["hospital"].map(hospitals.index).to_numpy(dtype=np.float32)
        return np.column_stack([index, values])


mlflow.models.set_model(ScoringModel())
