"""name → file: a plug-in is one file, and the file's name is its entry in the registry.

`find("federated.aggregation", "trimmed_mean")` imports `federated/aggregation/trimmed_mean.py`
and returns its class `TrimmedMean`, a frozen dataclass whose fields are its options.
"""

import difflib
import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import fields
from datetime import date
from typing import Any, TypeVar, cast, dataclass_transform

import pydantic
import pydantic.dataclasses

from federated.errors import ConfigError

T = TypeVar("T")


@dataclass_transform(frozen_default=True)
def options(cls: type[T]) -> type[T]:
    """Make `cls` a frozen dataclass that checks its fields and refuses unknown ones."""
    strict = pydantic.ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
    made: Any = pydantic.dataclasses.dataclass(frozen=True, config=strict)(cls)
    return cast(type[T], made)


def names(package: str) -> tuple[str, ...]:
    """The plug-ins of a package, sorted. Files that begin with an underscore are none."""
    found = pkgutil.iter_modules(importlib.import_module(package).__path__)
    return tuple(sorted(m.name for m in found if not m.name.startswith("_")))


def find(package: str, name: str) -> type[Any]:
    """The class behind a plug-in's name.

    Raises ConfigError with the nearest valid name if there is no such file.
    """
    kind = package.rpartition(".")[2]
    known = names(package)
    if name not in known:
        raise ConfigError(f"no {kind} is called {name!r}; {nearest(name, known)}")
    module = importlib.import_module(f"{package}.{name}")
    cls = getattr(module, name.title().replace("_", ""), None)
    if not isinstance(cls, type):
        raise TypeError(f"{module.__file__} must hold the class {name.title().replace('_', '')}")
    return cls


def option_names(package: str) -> set[str]:
    """Every option that some plug-in of the package knows."""
    return {f.name for name in names(package) for f in fields(find(package, name))}


def create(package: str, name: str, values: Mapping[str, Any], where: str) -> Any:
    """Build plug-in `name` from its options. `where` is the section named in errors.

    An option that only a sibling plug-in knows is left out, so that changing the name alone is
    a valid change; `unused` lists those. Null is the rule's own default, unless the option itself
    may be null. Raises ConfigError for an option no plug-in knows and
    for a value of the wrong type or range.
    """
    cls = find(package, name)
    known = option_names(package)
    for key in values:
        if key not in known:
            raise ConfigError(f"unknown key {where}.{key}; {nearest(key, sorted(known))}")
    own = {f.name for f in fields(cls)}
    given = {k: v for k, v in values.items() if k in own}
    try:
        return cls(**{k: v for k, v in given.items() if v is not None or _may_be_null(cls, k)})
    except pydantic.ValidationError as error:
        raise ConfigError(explain(error, where)) from error


def _may_be_null(cls: Any, option: str) -> bool:
    """Is null one of the option's own values?"""
    try:
        pydantic.TypeAdapter(cls.__pydantic_fields__[option].annotation).validate_python(None)
    except pydantic.ValidationError:
        return False
    return True


def values(rule: Any) -> dict[str, Any]:
    """A plug-in's options as JSON has them."""
    found: dict[str, Any] = pydantic.TypeAdapter(type(rule)).dump_python(rule, mode="json")
    return found


def unused(package: str, name: str, values: Mapping[str, Any]) -> list[str]:
    """The given options (those not null) that plug-in `name` makes no use of."""
    own = {f.name for f in fields(find(package, name))}
    return sorted(k for k, v in values.items() if k not in own and v is not None)


def nearest(name: str, known: tuple[str, ...] | list[str]) -> str:
    """A hint: the nearest valid name, and all of them."""
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}valid: {', '.join(known)}" if known else "it takes no options"


def explain(error: pydantic.ValidationError, where: str) -> str:
    """A pydantic error as one line a field: where, what, and the value that was given."""
    lines = []
    for item in error.errors():
        parts = [str(p) for p in item["loc"]]
        place = ".".join([where, *parts] if where else parts)
        given = (
            "" if item["type"] in {"missing", "extra_forbidden"} else f" (got {item['input']!r})"
        )
        lines.append(f"{place}: {item['msg']}{given}{quotes(item['type'], item['input'])}")
    return "\n".join(lines)


def quotes(kind: str, given: Any) -> str:
    """Advice for a text that YAML took for something else, as it does with NO and 01."""
    mistaken = kind == "string_type" and isinstance(given, (bool, int, float, date))
    return "; YAML takes an unquoted NO or 01 for a value: quote it" if mistaken else ""
