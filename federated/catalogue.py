"""What plug-ins there are, read from their own files: options, defaults, the paper they cite."""

import re
import types
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from importlib import import_module
from inspect import cleandoc
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from federated import plugins
from federated.algorithm import DEFAULTS, KINDS, PRESETS
from federated.errors import ConfigError

PACKAGES: dict[str, str] = {kind: f"federated.{kind}" for kind in KINDS} | {
    "partition": "federated.partition",
    "datasets": "federated.datasets",
    "models": "models",
}
_BOUNDS = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}
_NAME = r"(?:El |Van )?[A-Z][\w'’-]+"
_WHO = rf"{_NAME}(?:(?:, | and | & ){_NAME})*(?P<others> et al\.)?,? \(?(?:19|20)\d\d\)?"
_WHERE = r"arXiv:\s?\d{4}\.\d{4,5}|doi[: ]\s?10\.\d+/[^\s;,)]*[^\s;,).]"
_CITED = re.compile(rf"(?P<who>{_WHO})?[\s,:(]*(?P<where>{_WHERE})?")


@dataclass(frozen=True)
class Option:
    """A field of a plug-in: its type in words and its default as in params.yaml."""

    name: str
    type: str
    default: str


@dataclass(frozen=True)
class Entry:
    """A plug-in. source: the papers its docstring names, or None; text: both docstrings."""

    kind: str
    name: str
    summary: str
    source: str | None
    options: tuple[Option, ...]
    text: str
    file: str


@dataclass(frozen=True)
class Preset:
    """A preset. rules: kind → its choice with the options that differ, e.g. `sgd steps=10`.

    source: the papers of the rules that make it what it is, or None.
    """

    name: str
    rules: dict[str, str]
    source: str | None


def entries(kind: str) -> tuple[Entry, ...]:
    """The plug-ins of a kind. Raises ConfigError for an unknown kind."""
    if kind not in PACKAGES:
        raise ConfigError(f"no kind is called {kind!r}; {plugins.nearest(kind, [*PACKAGES])}")
    return tuple(_entry(kind, name) for name in plugins.names(PACKAGES[kind]))


def presets() -> tuple[Preset, ...]:
    """Every preset, in the order of `federated.algorithm`."""
    return tuple(_preset(name, choices) for name, choices in PRESETS.items())


def source(text: str) -> str | None:
    """The references in a docstring, `Name et al. 2017, arXiv:1602.05629`; None if it has none.

    A name with a year counts where it says et al. or is followed by an arXiv or doi number.
    """
    found = []
    for match in _CITED.finditer(" ".join(text.split())):
        who, where = match["who"], match["where"]
        if where or (who and match["others"]):
            found.append(", ".join(part for part in (who, where) if part))
    return "; ".join(dict.fromkeys(found)) or None


def _preset(name: str, choices: Mapping[str, Mapping[str, Any]]) -> Preset:
    """Its papers are those of the rules that are no defaults; FedAvg has only defaults."""
    usual = all(own["name"] == DEFAULTS[kind] for kind, own in choices.items())
    cited = [
        paper
        for kind, own in choices.items()
        if (usual or own["name"] != DEFAULTS[kind]) and (found := _entry(kind, own["name"]).source)
        for paper in found.split("; ")
    ]
    rules = {kind: _choice(own) for kind, own in choices.items()}
    return Preset(name, rules, "; ".join(dict.fromkeys(cited)) or None)


def _entry(kind: str, name: str) -> Entry:
    package = PACKAGES[kind]
    cls, module = plugins.find(package, name), import_module(f"{package}.{name}")
    head = cleandoc(module.__doc__ or "")
    text = "\n\n".join(part for part in (head, cleandoc(cls.__doc__ or "")) if part)
    return Entry(
        kind=kind,
        name=name,
        summary=head.partition("\n")[0],
        source=source(text),
        options=_options(cls),
        text=text,
        file=f"{package.replace('.', '/')}/{name}.py",
    )


def _options(cls: type[Any]) -> tuple[Option, ...]:
    hints = get_type_hints(cls, include_extras=True)
    return tuple(Option(f.name, _type(hints[f.name]), _default(f)) for f in fields(cls))


def _default(field: Any) -> str:
    if field.default is not MISSING:
        value = getattr(field.default, "default", field.default)
    elif field.default_factory is not MISSING:
        value = field.default_factory()
    else:
        return "required"
    return _yaml(value)


def _yaml(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, tuple | list):
        return f"[{', '.join(_yaml(one) for one in value)}]"
    return str(value)


def _type(hint: Any) -> str:
    """A type hint in words: `float > 0`, `int ≥ 1 or null`, `examples | hospitals`."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        bounds = [b for extra in arguments[1:] for b in _bounds(extra)]
        return " ".join([_type(arguments[0]), ", ".join(bounds)]).strip()
    if origin is Literal:
        return " | ".join(_yaml(one) for one in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(_type(one) for one in arguments)
    if origin in (tuple, list):
        return f"list of {_type(arguments[0])}"
    if origin is dict:
        return f"map of {_type(arguments[-1])}"
    return "null" if hint is type(None) else str(getattr(hint, "__name__", hint))


def _bounds(extra: Any) -> list[str]:
    """`> 0` of a pydantic Field(gt=0)."""
    constraints = getattr(extra, "metadata", [extra])
    return [
        f"{sign} {value:g}"
        for one in constraints
        for name, sign in _BOUNDS.items()
        if (value := getattr(one, name, None)) is not None
    ]


def _choice(own: Mapping[str, Any]) -> str:
    options = [f"{k}={_yaml(v)}" for k, v in own.items() if k != "name"]
    return " ".join([own["name"], *options])
