"""Scoring a file with a model from the registry, from the command line."""

from pathlib import Path
from typing import TYPE_CHECKING

from federated.config import load
from tasks.lineage import tracking_uri

if TYPE_CHECKING:
    from tasks.predictions import Predicted


def predict_file(file: Path, model: str, out: Path, params: Path) -> "Predicted":
    """Score the rows of `file` and write `out`.

    The model is looked for where `params` keeps runs; without such a file, in this folder.
    """
    configured = load(params).run.tracking_uri if params.is_file() else None
    from tasks.predictions import predict, require_kind, write
    from tasks.shelf import take

    require_kind(out)
    predicted = predict(take(model, tracking_uri(configured, Path.cwd())), file)
    write(predicted, out)
    return predicted
