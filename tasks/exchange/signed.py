"""JSON objects that somebody signed: 64 bytes of Ed25519 signature (RFC 8032), then canonical JSON.

Signed is that JSON after a line that names its use and version: what is signed for one use stands
for no other.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from tasks.exchange import canonical
from tasks.exchange.keys import PrivateKey, PublicKey
from tasks.exchange.refusal import RefusalError, shown

_SIGNATURE = 64  # bytes
_SCHEMA = "schema"


@dataclass(frozen=True)
class Use:
    """What is signed. line: before what is signed. version: of its fields. most: bytes in all."""

    name: str
    line: bytes
    version: int
    most: int

    def seal(self, values: Mapping[str, Any], private: PrivateKey) -> bytes:
        """Signature and JSON."""
        body = canonical.to_bytes({**values, _SCHEMA: self.version})
        return private.sign(self.line + body) + body

    def unseal(self, sealed: bytes, public: PublicKey, fields: Collection[str]) -> dict[str, Any]:
        """The values that the holder of the private key signed; nothing unsigned is parsed.

        Raises RefusalError: size, signature or form.
        """
        if len(sealed) > self.most:
            why = f"{self.name} of {len(sealed)} bytes, at most {self.most} are right"
            raise RefusalError("size", why)
        signature, body = sealed[:_SIGNATURE], sealed[_SIGNATURE:]
        if not public.verifies(signature, self.line + body):
            raise RefusalError("signature", f"not signed with the key of {public.text}")
        try:
            values = canonical.from_bytes(body)
        except canonical.FormError as error:
            raise RefusalError("form", str(error)) from error
        version = values.pop(_SCHEMA, None)
        if type(version) is not int or version != self.version:
            why = f"schema version {shown(version)} is not known here, only {self.version}"
            raise RefusalError("form", f"{why}: both sides need the same version of wardround")
        if values.keys() != set(fields):
            odd = sorted(values.keys() ^ set(fields))
            raise RefusalError("form", f"field {shown(odd[0])} is missing, or not known")
        return values
