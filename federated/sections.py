"""Sections of a YAML file: read, checked against their fields, and faults told in words."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from federated.errors import ConfigError
from federated.plugins import nearest, quotes


class Section(BaseModel):
    """A section, params.yaml's or a study's: frozen, typed, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


S = TypeVar("S", bound=Section)


class _Loader(yaml.SafeLoader):
    """YAML in which 1e-3 is a number, as in YAML 1.2 and in every scientist's hand, and in which
    a key stands once: of two, plain YAML would quietly take the second."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                what = f"the key {key.value!r} stands twice"
                raise yaml.constructor.ConstructorError(None, None, what, key.start_mark)
            seen.add(key.value)
        return node


class _Dumper(yaml.SafeDumper):
    """Quotes every text that `_Loader` would take for something else."""


_FLOAT = re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+$")
for _kind in (_Loader, _Dumper):
    _kind.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+0123456789"))


def read_yaml(text: str) -> Any:
    """The YAML of params.yaml and of study files. Raises yaml.YAMLError."""
    return yaml.load(text, _Loader)


def write_yaml(values: Mapping[str, Any]) -> str:
    """A file's text that `read_yaml` gives back as it was: a hospital `1e5` stays a text."""
    return yaml.dump(values, Dumper=_Dumper, sort_keys=False, width=200, allow_unicode=True)


def read_sections(path: Path, examples: str, absent: str = "") -> dict[str, Any]:
    """The file's keys and values.

    Raises ConfigError, which names `examples` of keys where there are none, and ends in `absent`
    where there is no such file.
    """
    try:
        raw = read_yaml(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file{absent}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from None
    if not isinstance(raw, dict):
        raise ConfigError(f"{path}: expected {examples}")
    return raw


def read_record(path: Path, kind: type[S], examples: str, absent: str = "") -> S:
    """The file as a record. Raises ConfigError, naming file and field; else as `read_sections`."""
    raw = read_sections(path, examples, absent)
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(f"{path}:\n{explain(error, kind)}") from None


def explain(error: ValidationError, root: type[Section]) -> str:
    """One line a fault of a `root`; an unknown key is answered with the nearest valid one."""
    lines = []
    for item in error.errors():
        parts = [str(part) for part in item["loc"]]
        place = ".".join(parts)
        if item["type"] == "extra_forbidden":
            hint = nearest(parts[-1], _keys(root, parts[:-1]))
            lines.append(f"  unknown key {place}; {hint}")
        elif item["type"] == "missing":
            lines.append(f"  {place}: missing")
        elif place:
            advice = quotes(item["type"], item["input"])
            lines.append(f"  {place}: {item['msg']} (got {item['input']!r}){advice}")
        else:
            lines.append(f"  {item['msg']}")
    return "\n".join(lines)


def _keys(root: type[BaseModel], path: Sequence[str]) -> list[str]:
    """The valid keys of the section at `path`."""
    section = root
    for part in path:
        if part not in section.model_fields:
            continue  # a key of a mapping of sections
        kind = section.model_fields[part].annotation
        for one in get_args(kind) or (kind,):
            if isinstance(one, type) and issubclass(one, BaseModel):
                section = one
    return sorted(section.model_fields)
