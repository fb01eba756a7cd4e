"""Scoring a file with a model from the registry, from the command line."""

from pathlib import Path
from typing import TYPE_CHECKING

from federated.config import load
from tasks.lineage import tracking_uri

if TYPE_CHECKING:
    from tasks.predictions import Predicted


def predict_file(file: Path, model: str, out: Path, params: Path) -> "Predicted":
    """Score the rows of `file` and write `out`.

    The model is looked for where `params` keeps runs, and a CSV is read as its `data.source.csv`
    says; without such a file, in this folder, and as is found out.
    """
    config = load(params) if params.is_file() else None
    configured = config.run.tracking_uri if config is not None else None
    from federated.datasets._files import PLAIN
    from tasks.predictions import predict, require_kind, write
    from tasks.shelf import take

    require_kind(out)
    how = PLAIN if config is None else getattr(config.data.reader, "csv", PLAIN)
    predicted = predict(take(model, tracking_uri(configured, Path.cwd())), file, how)
    write(predicted, out)
    return predicted
