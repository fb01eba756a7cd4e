"""roster.yaml: the hospitals that the coordinator admits, each with its key and its largest count.

The file is the coordinator's own. A hospital that is not in it is not heard.
"""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Self

from pydantic import Field, field_validator, model_validator

from federated.errors import ConfigError
from federated.plugins import nearest
from federated.sections import Section, read_record, write_yaml
from tasks.exchange.fields import COORDINATOR, HospitalName, Key, given_name
from tasks.exchange.keys import PublicKey
from tasks.files import sync_folder, write_atomic

ROSTER = Path("roster.yaml")
_MOST = 2**53 - 1  # the largest whole number that every JSON reader holds exactly
_HEAD = """\
# The hospitals that may take part. Written by `wardround roster add`, which keeps no comments.
# key: checks what the hospital signs. max_examples: training rows that an update may claim at most.
"""


class Member(Section):
    """One hospital. added: the day it was entered or last replaced."""

    key: Key
    max_examples: int = Field(ge=1, le=_MOST)
    added: date


class Roster(Section):
    """All of roster.yaml: name → hospital, in the order in which they were entered."""

    hospitals: dict[HospitalName, Member]

    @field_validator("hospitals")
    @classmethod
    def _has_no_coordinator(cls, hospitals: dict[str, Member]) -> dict[str, Member]:
        if COORDINATOR in hospitals:
            raise ValueError(f"{COORDINATOR!r} stands for the coordinator; rename the hospital")
        return hospitals

    @model_validator(mode="after")
    def _has_a_key_for_each(self) -> Self:
        """One key under two names would let one hospital speak for two."""
        owner: dict[PublicKey, str] = {}
        for name, member in self.hospitals.items():
            if member.key in owner:
                raise ValueError(f"hospitals {owner[member.key]!r} and {name!r} have the same key")
            owner[member.key] = name
        return self


def read_roster(path: Path) -> Roster:
    """Raises ConfigError naming file, hospital and field."""
    absent = "; enter a hospital with `wardround roster add`"
    return read_record(path, Roster, "hospitals: and a name under it", absent)


def add(roster: Roster, name: str, member: Member, *, replace: bool = False) -> Roster:
    """The roster with one more hospital at its end, or with its entry replaced where it stands.

    Raises ConfigError for a name that is known already, unless `replace`, and always for a key
    that another hospital has.
    """
    known = roster.hospitals.get(given_name(name))
    if known is not None and not replace:
        raise ConfigError(
            f"hospital {name!r} is in the roster since {known.added}, with key {known.key.text}; "
            "--replace enters the new key and count in its place"
        )
    for other, one in roster.hospitals.items():
        if one.key == member.key and other != name:
            raise ConfigError(
                f"hospital {name!r}: its key is that of {other!r} already; each hospital has a "
                f"key of its own, made by `wardround site init` (was {other!r} renamed? remove it "
                "from the file first)"
            )
    return Roster(hospitals={**roster.hospitals, name: member})


def taking_part(roster: Roster, leave_out: Sequence[str]) -> Roster:
    """The roster without the hospitals that the job leaves out. Raises ConfigError for one that is
    not in it, and where none is left."""
    for name in leave_out:
        if name not in roster.hospitals:
            raise ConfigError(
                f"data.leave_out: the roster has no hospital {name!r}; "
                f"{nearest(name, list(roster.hospitals))}"
            )
    left = {name: one for name, one in roster.hospitals.items() if name not in leave_out}
    if roster.hospitals and not left:
        raise ConfigError("data.leave_out: names every hospital of the roster")
    return Roster(hospitals=left)


def write_roster(path: Path, roster: Roster) -> None:
    """Write the whole file or leave it as it was; on the disk when this returns."""
    text = _HEAD + write_yaml(roster.model_dump())
    write_atomic(path, text.encode(), durable=True)
    sync_folder(path.parent)
