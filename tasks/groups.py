"""Hospitals' names as folders, and against those that params.yaml lists or leaves out."""

from collections.abc import Mapping, Sequence
from typing import Literal, TypeVar

from federated import results
from federated.cell_rules import folder_name
from federated.errors import DataError
from federated.plugins import nearest
from federated.schema import Coverage
from federated.sizes import require, too_small

T = TypeVar("T")

ALL = "all"
"""The one folder of data that name no hospitals."""


def folders(names: Sequence[str], source: str) -> list[str]:
    """A folder's name for each hospital: whatever is not a letter, digit, `.`, `_` or `-`
    becomes `-`. Raises DataError for a name of which nothing is left, and for two that collide."""
    safe = [folder_name(name) for name in names]
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


def without(groups: Mapping[str, T], leave_out: Sequence[str]) -> dict[str, T]:
    """The groups that take part. Raises DataError for one to be left out that the data lack, and
    where none is left."""
    for name in leave_out:
        if name not in groups:
            hint = nearest(name, list(groups)) if ALL not in groups else "they name no hospitals"
            raise DataError(f"data.leave_out: the data hold no hospital {name!r}; {hint}")
    left = {name: group for name, group in groups.items() if name not in leave_out}
    if not left:
        raise DataError("data.leave_out: names every hospital, so none is left to train")
    return left


def left_small(
    found: Sequence[Coverage], least: int, small_hospitals: Literal["refuse", "leave_out"]
) -> list[str]:
    """Names of the hospitals that take no part because they have too few rows, or patients.

    Raises DataError naming them all if that is refused, or if they are all that there are.
    """
    small = too_small(found, least)
    if small_hospitals == "refuse" or len(small) == len(found):
        require(found, least)
    return small


def left_out_notes(asked: Sequence[str], small: Sequence[str], least: int) -> tuple[str, ...]:
    """Sentences about who takes no part. Without counts: a hospital that is left out changes no
    other one's files."""
    notes = [f"left out (data.leave_out): {', '.join(sorted(asked))}"] if asked else []
    why = f"fewer than {least} usable rows or patients; data.min_rows, data.small_hospitals"
    return (*notes, *([f"left out ({why}): {', '.join(small)}"] if small else []))


def check_listed(listed: Sequence[str], found: Sequence[str], taking_part: Sequence[str]) -> None:
    """Raise DataError for a listed hospital that the data lack, and for one that takes part and is
    not listed.

    An empty list asks for nothing. found, taking_part: folder names.
    """
    if not listed:
        return
    for name in listed:
        if name not in found:
            raise DataError(
                f"data.hospitals: the data hold no hospital {name!r}; {nearest(name, list(found))}"
            )
    for name in taking_part:
        if name not in listed:
            raise DataError(
                f"unknown hospital {name!r}: it is in the data, but not in data.hospitals; list it "
                f"there, or leave it out by data.leave_out ({nearest(name, list(listed))})"
            )
