"""A project whose model is registered without a round of training: its weights are drawn."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import yaml
from mlflow import pyfunc, set_tracking_uri
from numpy.typing import NDArray

from federated.config import load
from federated.federation import Standing
from federated.initial import weights_of
from tasks import registry, tracking
from tasks.export import ByHospital, Scoring, scoring
from tasks.job import Job, load_job
from tasks.journal import Journal
from tasks.packed_counts import pack
from tasks.preparation import load_hospital
from tests.conftest import ROOT
from tests.federated.make import count

NAME = "tested"


def patients(rows: int = 60) -> pd.DataFrame:
    """Texts, whole numbers, numbers and a code, with missing cells; of two hospitals."""
    drawn = np.random.default_rng(3)
    frame = pd.DataFrame(
        {
            "clinic": np.repeat(["north ward", "south"], rows // 2),
            "age": drawn.integers(20, 90, rows).astype(str),
            "sex": drawn.choice(["f", "m"], rows),
            "hb": drawn.normal(13, 2, rows).round(1).astype(str),
            "ward": drawn.choice(["icu", "medical", "surgical"], rows),
            "stage": drawn.choice(["1", "2", "3"], rows),
            "dead": drawn.choice(["no", "yes"], rows),
        }
    )
    frame.loc[::7, "age"] = ""
    frame.loc[3::11, "ward"] = ""
    return frame


def project_of(
    folder: Path, database: Path, frame: pd.DataFrame, source: dict[str, Any], **data: Any
) -> Path:
    """A project with this table as `base.csv`. database: MLflow's, to be copied."""
    own = {"path": "base.csv", "hospital": "clinic"} | source
    project(folder, database, {"data": {"dataset": "table", "source": own} | data})
    frame.to_csv(folder / "base.csv", index=False)
    return folder


def project(folder: Path, database: Path, sections: dict[str, dict[str, Any]]) -> Path:
    """A project with these settings."""
    (folder / "mlruns").mkdir(parents=True)
    shutil.copy(database, folder / "mlruns" / "mlflow.db")
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    values["data"] |= {"min_rows": 4, "hospitals": []}
    for section, given in sections.items():
        values[section] |= given
    (folder / "params.yaml").write_text(yaml.safe_dump(values))
    return folder


def drawn(job: Job) -> dict[str, torch.Tensor]:
    """Weights far enough from 0 that every input counts."""
    generator = torch.Generator().manual_seed(1)
    known = weights_of(job.network)
    return {n: torch.randn(t.shape, generator=generator) for n, t in sorted(known.items())}


def exported(job: Job) -> Scoring:
    """What the end of a run hands to MLflow."""
    apart = job.config.data.scaling == "hospital"
    hospitals = ByHospital(job.config.data.hospital_column, job.hospitals) if apart else None
    return scoring(job.schema, job.preprocess, job.network, [drawn(job)], hospitals, 0)


def shelve(project: Path) -> Job:
    """Register the project's model."""
    job = load_job(load(project / "params.yaml"), project)
    journal = Journal(project / "journal")
    counts = {"a": count(torch.tensor([[0.3]]), torch.tensor([1]), 2, 10, 5)}
    record = journal.commit(Standing(0, drawn(job), {}, {}), [], pack(counts), pack({}))
    tracked = tracking.open_run(
        job.tracking_uri, project, "test", "run", journal.name, {"a": "0" * 32}, {}, {}
    )
    registry.log_model(tracked, exported(job), record, NAME, "words")
    journal.close()
    return job


def loaded(job: Job) -> Any:
    """The registered model."""
    set_tracking_uri(job.tracking_uri)
    return pyfunc.load_model(f"models:/{NAME}@champion")


def raw(job: Job) -> NDArray[Any]:
    """Features as preparation made them: all hospitals' rows, one hospital after the other."""
    rows = [load_hospital(job.place.hospitals / hospital).features for hospital in job.hospitals]
    return torch.cat(rows).numpy()


def expected(job: Job) -> NDArray[Any]:
    """The network's answers to those rows."""
    job.network.load_state_dict(drawn(job))
    job.network.eval()
    answers = []
    for index, hospital in enumerate(job.hospitals):
        features = load_hospital(job.place.hospitals / hospital).features
        if job.preprocess.by_hospital:
            lead = torch.full((len(features), 1), float(index))
            features = torch.cat([lead, features], dim=1)
        with torch.inference_mode():
            answers.append(job.objective.predictions(job.network(job.preprocess(features))))
    return torch.cat(answers).numpy()
