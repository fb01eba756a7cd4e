"""The errors a user can mend: each message says what is wrong, where, and what to do."""

from typing import Self


class WardroundError(Exception):
    """Base of every error that is the input's fault, not the program's."""


class ConfigError(WardroundError):
    """A key or value of params.yaml (or of --set) is wrong."""


class DataError(WardroundError):
    """A data file, hospital, row or column is wrong."""


class CorruptDataError(DataError):
    """A data file's bytes differ from those that were versioned."""


class UpdateError(WardroundError):
    """A hospital's update failed a check; carries the hospital and the round."""

    def __init__(self, hospital: str, round_: int, why: str) -> None:
        super().__init__(f"hospital {hospital!r}, round {round_}: {why}")
        self.hospital = hospital
        self.round = round_
        self.why = why

    def __reduce__(self) -> tuple[type[Self], tuple[str, int, str]]:
        """How it comes back from another process."""
        return type(self), (self.hospital, self.round, self.why)
