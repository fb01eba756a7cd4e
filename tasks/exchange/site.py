"""site.yaml: what a hospital's own installation knows of itself and of its coordinator."""

from pathlib import Path

from pydantic import Field, ValidationError

from federated.errors import ConfigError
from federated.sections import Section, explain, read_sections
from tasks.exchange.fields import HospitalName, Key

SITE = Path("site.yaml")


class SiteConfig(Section):
    """All of site.yaml; paths are relative to its folder.

    data: the hospital's folder as `wardround partition` writes it. coordinator: the public key
    whose orders are followed. exchange: where payloads lie, as it is reached from here. key: file
    of the hospital's private key.
    """

    name: HospitalName
    data: str = Field(min_length=1)
    coordinator: Key
    exchange: str = Field(min_length=1)
    key: str = Field(min_length=1)


def read_site(path: Path) -> SiteConfig:
    """Raises ConfigError naming file and field."""
    absent = "; write one with `wardround site init`"
    raw = read_sections(path, "name: and data:", absent)
    try:
        return SiteConfig.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(f"{path}:\n{explain(error, SiteConfig)}") from None


def located(folder: Path, location: str) -> str:
    """A store's location: a URL as it is, a path in the folder."""
    return location if "://" in location else str((folder / location).resolve())
