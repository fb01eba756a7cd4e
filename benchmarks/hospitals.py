"""A scratch project for a case, and its hospitals' rows as one file for all others."""

import json
import shutil
from pathlib import Path

import safetensors.torch
import torch

from benchmarks.cases import Case, overrides
from benchmarks.measure import BENCH, ROOT
from federated.config import load
from federated.initial import weights_of
from tasks.environment import prepare_environment
from tasks.job import load_job


def project(case: Case) -> Path:
    """A folder with params.yaml in which the case is run; its data stay there between runs."""
    folder = BENCH / "projects" / case.name
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "params.yaml", folder)
    return folder


def data(case: Case) -> Path:
    """The file of the case, written if it is not there: inputs as Wardround encodes them.

    train.inputs float32 [hospitals · rows, …] and train.targets, hospital after hospital;
    test.inputs and test.targets of all; weights.<name>, which the federation begins from.
    """
    path = BENCH / "data" / f"{case.name}-{case.seed}.safetensors"
    if path.is_file():
        return path
    folder = project(case)
    prepare_environment(folder)
    job = load_job(load(folder / "params.yaml", overrides(case)), folder)
    rows = [site.data for site in job.local.values()]
    uneven = {len(own.train) for own in rows} - {case.rows}
    if uneven or len(rows) != case.hospitals:
        raise ValueError(f"case {case.name}: {len(rows)} hospitals of {uneven} training rows")
    tensors = {
        "train.inputs": torch.cat([own.train.features for own in rows]),
        "train.targets": torch.cat([own.train.targets for own in rows]),
        "test.inputs": torch.cat([own.test.features for own in rows]),
        "test.targets": torch.cat([own.test.targets for own in rows]),
        **{f"weights.{name}": t for name, t in weights_of(job.network).items()},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    safetensors.torch.save_file(tensors, partial)
    partial.replace(path)
    return path


def told(case: Case) -> str:
    """The task of a plain loop or a peer, as JSON (`plain.Task`)."""
    names = ("hospitals", "cohort", "rows", "batch", "rounds", "rate", "steps", "seed")
    values = {name: getattr(case, name) for name in names}
    return json.dumps(values | {"file": str(data(case)), "images": case.features is None})
