"""Fields of the files that people edit: hospitals' names and public keys."""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, PlainSerializer

from federated.errors import ConfigError
from tasks.exchange.keys import BadKeyError, PublicKey

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
"""A hospital's: part of a work pool's name, a file's name and an envelope."""


COORDINATOR = "coordinator"
"""Its name among senders and folders."""


def check_name(name: str) -> str:
    """The name. Raises ValueError where it cannot name a hospital."""
    if not NAME.fullmatch(name):
        raise ValueError(
            f"{name[:80]!r} cannot name a hospital: lower-case letters, digits, - and _, at most "
            "64, the first a letter or digit"
        )
    return name


def given_name(name: str) -> str:
    """As `check_name`, of a name that was typed. Raises ConfigError."""
    try:
        return check_name(name)
    except ValueError as error:
        raise ConfigError(str(error)) from None


def _key(given: Any) -> Any:
    if not isinstance(given, str):
        return given  # a PublicKey, or what the type refuses
    try:
        return PublicKey(given)
    except BadKeyError as error:
        raise ValueError(str(error)) from None


HospitalName = Annotated[str, AfterValidator(check_name)]
Key = Annotated[PublicKey, BeforeValidator(_key), PlainSerializer(lambda key: key.text)]
"""A PublicKey, written as its text."""
