"""deploy/compose.yaml without Docker: a service's command and environment, for a process here."""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from tests.conftest import ROOT

_VARIABLE = re.compile(r"\$\{(\w+):\?\}")


@dataclass(frozen=True)
class Composed:
    """services, configs: as the file has them, with every variable filled in."""

    services: dict[str, Any]
    configs: dict[str, Any]

    def command(self, service: str, *changes: tuple[str, str]) -> list[str]:
        """changes: what a container's address or folder is here."""
        return shlex.split(changed(self.services[service]["command"], *changes))

    def environment(self, service: str, *changes: tuple[str, str]) -> dict[str, str]:
        """Like command."""
        own = self.services[service]["environment"]
        return {name: changed(value, *changes) for name, value in own.items()}

    def file(self, config: str, *changes: tuple[str, str]) -> str:
        """What a container finds at the place of this config."""
        return changed(self.configs[config]["content"], *changes)


def composed(values: Mapping[str, str]) -> Composed:
    """values: of .env. A variable that is not in them is an error, as it is for Docker."""
    text = (ROOT / "deploy" / "compose.yaml").read_text()
    found = yaml.safe_load(_VARIABLE.sub(lambda one: values[one[1]], text))
    return Composed(found["services"], found["configs"])


def changed(text: str, *changes: tuple[str, str]) -> str:
    """Each of them has to be there."""
    for old, new in changes:
        assert old in text, f"{old!r} is not in {text!r}"
        text = text.replace(old, new)
    return text
