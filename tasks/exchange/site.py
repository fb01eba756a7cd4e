"""site.yaml: what a hospital's own installation knows of itself and of its coordinator."""

import json
from pathlib import Path

from pydantic import Field

from federated.sections import Section, read_record
from tasks.exchange.fields import HospitalName, Key
from tasks.exchange.policy import Policy

SITE = Path("site.yaml")


class SiteConfig(Section):
    """All of site.yaml; paths are relative to its folder.

    data: the hospital's folder as `wardround partition` writes it. coordinator: the public key
    whose orders are followed. exchange: where payloads lie, as it is reached from here. key: file
    of the hospital's private key. audit: folder of its audit log.
    """

    name: HospitalName
    data: str = Field(min_length=1)
    coordinator: Key
    exchange: str = Field(min_length=1)
    key: str = Field(min_length=1)
    audit: str = Field(min_length=1)
    policy: Policy


def read_site(path: Path) -> SiteConfig:
    """Raises ConfigError naming file and field."""
    absent = "; write one with `wardround site init`"
    return read_record(path, SiteConfig, "name: and data:", absent)


_TEXT = """\
# This hospital's installation of Wardround. Paths are relative to this folder.

name: {name}
# the hospital's own rows, as `wardround partition` writes them: this folder never leaves
data: {data}
# the coordinator whose orders are followed, and nobody else's
coordinator: {coordinator}
# where weights and updates are exchanged, as it is reached from here: a folder, or a URL of fsspec
exchange: {exchange}
# the private key, which never leaves, and the log of all that was asked and answered
key: {key}
audit: audit

# what jobs may do here; null allows any
policy:
  models: null        # e.g. [logistic, mlp]
  algorithms: null    # presets, e.g. [fedavg, scaffold]
  columns: null       # of the data, e.g. [age, sex]
  max_rounds: null
  min_rows: 20        # training rows, or patients where the data name them, that it must have
  hours: null         # local time in which jobs may begin, e.g. "07:00-19:00"
  approval: required  # a person here resumes each job on the Prefect page | not_required
"""


def site_text(name: str, data: str, coordinator: str, exchange: str, key: str) -> str:
    """A site.yaml in which every job needs a person's approval."""
    values = {"name": name, "data": data, "coordinator": coordinator, "exchange": exchange}
    return _TEXT.format(key=key, **{k: json.dumps(v) for k, v in values.items()})


def located(folder: Path, location: str) -> str:
    """A store's location: a URL as it is, a path in the folder."""
    return location if "://" in location else str((folder / location).resolve())
