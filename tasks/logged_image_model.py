"""The code that travels inside a logged model of images (MLflow's "models from code": no pickle).

Like `logged_model.py` it needs torch and mlflow alone. Its artifacts: `program.pt2`, a torch.export
archive; `layout.json`: {"predictions": [...], …}.
"""

import json
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import torch


class ImageModel(mlflow.pyfunc.PythonModel):  # type: ignore[name-defined, misc]
    """Images → a probability per class or label, or a value."""

    def load_context(self, context: Any) -> None:
        """Load program and layout."""
        self.layout = json.loads(Path(context.artifacts["layout.json"]).read_text())
        self._program = torch.export.load(context.artifacts["program.pt2"]).module()

    def predict(self, context, model_input: np.ndarray, params=None):  # type: ignore[no-untyped-def]
        """Predictions [n, P] of images of the signature's shape."""
        with torch.inference_mode():
            found = self._program(torch.from_numpy(np.array(model_input))).numpy()
        return pd.DataFrame(found, columns=self.layout["predictions"])


mlflow.models.set_model(ImageModel())
