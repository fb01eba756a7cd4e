"""Ed25519 key pairs: the private one a file of its owner's alone, the public one a line of text.

Ed25519 of `cryptography`, which binds OpenSSL: signatures are nothing to write oneself, and MLflow
brings the package along anyway.
"""

import base64
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from federated.errors import WardroundError

PREFIX = "ed25519:"
_RAW = 32  # bytes of a key, RFC 8032
_OWNER_ONLY = 0o600


class BadKeyError(WardroundError):
    """A key that is missing, malformed, or readable by others than its owner."""


@dataclass(frozen=True)
class PublicKey:
    """Checks signatures. text: `ed25519:` and the 32 raw bytes in base64."""

    text: str

    def __post_init__(self) -> None:
        """Raises BadKeyError where the text is no key."""
        self._key()

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Was `message` signed with the private key that belongs to this one?"""
        try:
            self._key().verify(signature, message)
        except InvalidSignature:
            return False
        return True

    def _key(self) -> Ed25519PublicKey:
        try:
            raw = base64.b64decode(self.text.removeprefix(PREFIX), validate=True)
        except ValueError as error:
            raise BadKeyError(f"{self.text[:80]!r} is no key: not base64") from error
        if self.text != _text(raw) or len(raw) != _RAW:
            raise BadKeyError(f"{self.text[:80]!r} is no key: give {PREFIX} and 32 bytes in base64")
        return Ed25519PublicKey.from_public_bytes(raw)


class PrivateKey:
    """Signs. Neither printed nor pickled with its content."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    @property
    def public(self) -> PublicKey:
        """The key that checks what this one signs."""
        raw = self._key.public_key().public_bytes_raw()
        return PublicKey(_text(raw))

    def sign(self, message: bytes) -> bytes:
        """64 bytes."""
        return self._key.sign(message)


def create(path: Path) -> PrivateKey:
    """A new key in a file that only its owner reads. Raises BadKeyError where the file exists."""
    key = Ed25519PrivateKey.generate()
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
    except FileExistsError as error:
        raise BadKeyError(
            f"{path} exists: a key is never overwritten; move it away first"
        ) from error
    with os.fdopen(descriptor, "wb") as file:
        file.write(base64.b64encode(key.private_bytes_raw()) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    return PrivateKey(key)


def load(path: Path) -> PrivateKey:
    """The private key of a file. Raises BadKeyError where others may read it, or it is none."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        content = path.read_bytes()
    except OSError as error:
        raise BadKeyError(f"{path}: the private key cannot be read ({error.strerror})") from error
    if mode & ~_OWNER_ONLY:
        raise BadKeyError(f"{path}: others may read this private key ({mode:o}): chmod 600 {path}")
    try:
        raw = base64.b64decode(content.strip(), validate=True)
        return PrivateKey(Ed25519PrivateKey.from_private_bytes(raw))
    except ValueError as error:
        raise BadKeyError(
            f"{path}: no private key of wardround; make one with `site init`"
        ) from error


def _text(raw: bytes) -> str:
    """The one text of a public key."""
    return PREFIX + base64.b64encode(raw).decode("ascii")
