"""Hospitals' names as folders, and against those that params.yaml lists."""

import re
from collections.abc import Sequence

from federated import results
from federated.errors import DataError
from federated.plugins import nearest

ALL = "all"
"""The one folder of data that name no hospitals."""


def folders(names: Sequence[str], source: str) -> list[str]:
    """A folder's name for each hospital: whatever is not a letter, digit, `.`, `_` or `-`
    becomes `-`. Raises DataError for a name of which nothing is left, and for two that collide."""
    safe = [re.sub(r"[^\w.-]+", "-", name).strip("-.") for name in names]
    seen: dict[str, str] = {}
    for name, folder in zip(names, safe, strict=True):
        if not folder or folder in (ALL, results.ALL) or len(folder) > 100:
            raise DataError(f"{source}: hospital {name!r} cannot be a folder's name; rename it")
        if folder.casefold() in seen:
            other = seen[folder.casefold()]
            raise DataError(
                f"{source}: hospitals {other!r} and {name!r} would share one folder; rename one"
            )
        seen[folder.casefold()] = name
    return safe


def check_listed(listed: Sequence[str], found: Sequence[str]) -> None:
    """Raise DataError for a listed hospital that the data lack, and for one that is not listed.

    An empty list asks for nothing. found: folder names.
    """
    if not listed:
        return
    for name in listed:
        if name not in found:
            raise DataError(
                f"data.hospitals: the data hold no hospital {name!r}; {nearest(name, list(found))}"
            )
    for name in found:
        if name not in listed:
            raise DataError(
                f"unknown hospital {name!r}: it is in the data, but not in data.hospitals; "
                f"list it there, or remove its rows ({nearest(name, list(listed))})"
            )
