"""A job: everything a federation needs, loaded and checked before the first round."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import nn

from federated.batched import batches_wanted
from federated.config import Config
from federated.coordinator import check_size
from federated.devices import resolve
from federated.encoding import noted, with_notes
from federated.errors import DataError
from federated.federation import learning
from federated.initial import build
from federated.objectives import Objective, objective_of
from federated.preprocessing import Preprocess, to_data
from federated.records import RawHospital
from federated.schema import Coverage, ImageSchema, TableSchema
from federated.site import CPU, LocalSite, Site
from tasks.lineage import fingerprint, tracking_uri
from tasks.preparation import load_hospital
from tasks.telling import tell
from tasks.versions import locked, verified
from tasks.workspace import Workspace, ensure_data, workspace


@dataclass(frozen=True)
class Job:
    """config, and the hospitals' sites by name; data: hospital → md5 of its records.

    coverage: what became of each hospital's raw rows. network holds the initial weights; preprocess
    is what every site's rows went through.
    """

    config: Config
    place: Workspace
    schema: TableSchema | ImageSchema
    coverage: Mapping[str, Coverage]
    data: Mapping[str, str]
    preprocess: Preprocess
    network: nn.Module
    sites: Mapping[str, Site]

    @property
    def hospitals(self) -> list[str]:
        """Names, in order."""
        return list(self.sites)

    @property
    def deployed(self) -> bool:
        """Are the hospitals at their own sites?"""
        return self.config.federation.mode == "deployment"

    @property
    def local(self) -> dict[str, LocalSite]:
        """The sites of a simulation, whose rows are here."""
        return {h: site for h, site in self.sites.items() if isinstance(site, LocalSite)}

    @property
    def objective(self) -> Objective:
        """What is predicted."""
        return objective_of(self.schema, self.preprocess.encoding.target)

    @property
    def tracking_uri(self) -> str:
        """Where MLflow keeps the run."""
        return tracking_uri(self.config.run.tracking_uri, self.place.project)

    @property
    def fingerprint(self) -> str:
        """What identifies this very run."""
        return fingerprint(self.config, self.data, self.computed)

    @cached_property
    def device(self) -> torch.device:
        """Where hospitals train. Raises ConfigError for one that is not there."""
        return CPU if self.deployed else resolve(self.config.run.device)

    @property
    def computed(self) -> dict[str, Any]:
        """What of engine and device gives other bits."""
        elsewhere = {} if self.device.type == "cpu" else {"device": self.device.type}
        return {"batched": self.batched} | elsewhere | self.config.federation.effect

    @property
    def batched(self) -> bool:
        """Are hospitals trained as one computation, which has other bits? In one place only."""
        here = list(self.local.values()) if self.config.engine.runner == "threads" else []
        return bool(here) and batches_wanted(self.config.engine.name, here)


def load_job(config: Config, project: Path) -> Job:
    """Make the data if they are not made from what is there now, verify and load them, and build
    the network.

    Raises DataError or ConfigError, naming file or hospital.
    """
    place = workspace(project, config)
    raw, data = _load_hospitals(place, ensure_data(place, config, tell))
    schema = _common_schema(raw)
    preprocess, encoded = to_data(list(raw.values()), config.data)
    encoding = preprocess.encoding
    objective = objective_of(schema, encoding.target)
    network = build(
        config.architecture, encoding.shape, objective.outputs, config.run.seed, encoding.codes
    )
    sites = {
        one.hospital: LocalSite(
            data=one,
            network=network,
            algorithm=config.algorithm.rules,
            seed=config.run.seed,
            objective=objective,
            resolution=config.evaluation,
        )
        for one in encoded
    }
    check_size(config.algorithm.rules, len(learning(sites)))
    coverage = {h: with_notes(noted(one), encoding) for h, one in raw.items()}
    return Job(config, place, schema, coverage, data, preprocess, network, sites)


def cores() -> int:
    """Processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _load_hospitals(
    place: Workspace, names: Sequence[str]
) -> tuple[dict[str, RawHospital], dict[str, str]]:
    lock = locked(place.project)
    raw, data = {}, {}
    for folder in (place.hospitals / name for name in names):
        one = load_hospital(folder)
        data[one.name] = verified(folder / "records.safetensors", place.project, lock)
        raw[one.name] = one
    return raw, data


def _common_schema(raw: Mapping[str, RawHospital]) -> TableSchema | ImageSchema:
    """The one schema of all hospitals. Raises DataError, naming the hospital that differs."""
    first, *others = raw.values()
    for one in others:
        if one.schema != first.schema:
            raise DataError(
                f"hospital {one.name!r} has another schema than {first.name!r}: compare their "
                "schema.json, and run `wardround partition` for both from the same data set"
            )
    return first.schema
