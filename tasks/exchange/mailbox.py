"""Messages as flow-run inputs of Prefect: each side has a flow run, and its inputs are its mailbox.

The same requests as Prefect's `send_input` and `receive_input` make, over one connection in place
of a new one each time, and a letter is removed once it is dealt with. What a letter says is not
believed because it came: everything in it is signed.
"""

import base64
import binascii
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeVar
from uuid import UUID, uuid4

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import State
from prefect.context import SettingsContext, get_settings_context
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.input import RunInput
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES
from pydantic import ConfigDict, Field, ValidationError

from tasks.exchange.note import MOST
from tasks.exchange.refusal import shown
from tasks.exchange.store import ExchangeError

T = TypeVar("T")
_PREFIX = "parcel"
_AT_ONCE = 32  # letters a request
_BRIEFLY, _LONG = 0.02, 1.0  # seconds between two looks
_AGAIN = 0.5  # seconds, before a server is tried again
_TIMEOUT = 10.0  # seconds, of one request
_PASSES = frozenset({408, 429})
_SERVER_FAULT = 500


class Parcel(RunInput):
    """version: of this form; one that is not known is refused. form: what `sealed` is. sealed:
    signature and JSON, base64. payload: SHA-256 of the tensors that belong to it, in the store."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    version: Literal[1]
    form: Literal["envelope", "note"]
    sealed: str = Field(max_length=2 * MOST)
    payload: str | None = Field(pattern="^[0-9a-f]{64}$")

    @property
    def bytes(self) -> bytes:
        """What `sealed` stands for; nothing, which no signature fits, if it is not base64."""
        try:
            return base64.b64decode(self.sealed, validate=True)
        except (binascii.Error, ValueError):
            return b""


def parcel(form: Literal["envelope", "note"], sealed: bytes, payload: str | None = None) -> Parcel:
    """A parcel of this version."""
    return Parcel(version=1, form=form, sealed=base64.b64encode(sealed).decode(), payload=payload)


@dataclass(frozen=True)
class Letter:
    """sender: who it claims to be from. parcel: None if it has another form; fault says which."""

    key: str
    sender: str
    parcel: Parcel | None
    fault: str = ""


class Mailbox:
    """Of one flow run. patience: seconds for which an unreachable server is tried again. peer:
    the flow run that it hears from."""

    def __init__(self, flow_run: UUID, patience: float) -> None:
        self.flow_run, self._patience, self.peer = flow_run, patience, flow_run
        brief = {"timeout": _TIMEOUT}  # one request that hangs must not use up the patience
        self._client: SyncPrefectClient = get_client(httpx_settings=brief, sync_client=True)
        self._context = get_settings_context()
        self._settings = self._context.settings.copy_with_update(
            updates={PREFECT_CLIENT_MAX_RETRIES: 0}
        )

    def post(self, to: UUID, sender: str, sent: Parcel) -> None:
        """Put a parcel into another flow run's mailbox. Raises ExchangeError.

        Tried again under the same key, so that a lost answer makes no second letter.
        """
        key, value = f"{_PREFIX}-{uuid4()}", sent.model_dump_json()
        self.patiently(lambda: self._create(to, key, value, sender))

    def letters(self) -> list[Letter]:
        """What has come, the oldest first. Raises ExchangeError."""
        found = self.patiently(
            lambda: self._client.filter_flow_run_input(
                self.flow_run, key_prefix=_PREFIX, limit=_AT_ONCE, exclude_keys=set()
            )
        )
        return [_letter(one.key, one.sender or "", one.value) for one in found]

    def discard(self, letter: Letter) -> None:
        """Remove a letter. Raises ExchangeError."""
        self.patiently(lambda: self._delete(letter.key))

    def patiently(self, call: Callable[[], T]) -> T:
        """The call's answer, once the server answers. Raises ExchangeError after the patience.

        Prefect's client would wait 2, 4, 8, 16 and 32 seconds by itself, long after a server is
        back.
        """
        until = time.monotonic() + self._patience
        while True:
            try:
                with SettingsContext(profile=self._context.profile, settings=self._settings):
                    return call()
            except (httpx.TransportError, PrefectHTTPStatusError) as error:
                if _lasting(error) or time.monotonic() > until:
                    raise ExchangeError(
                        f"Prefect's server: {type(error).__name__}: {error}"
                    ) from error
                time.sleep(_AGAIN)

    def state(self, run: UUID) -> State | None:
        """Of any flow run; None if there is no such run. Raises ExchangeError."""
        try:
            return self.patiently(lambda: self._client.read_flow_run(run)).state
        except ObjectNotFound:
            return None

    @property
    def client(self) -> SyncPrefectClient:
        """The connection, for what is no letter."""
        return self._client

    def _create(self, to: UUID, key: str, value: str, sender: str) -> None:
        try:
            self._client.create_flow_run_input(to, key=key, value=value, sender=sender)
        except PrefectHTTPStatusError as error:
            if error.response.status_code != httpx.codes.CONFLICT:
                raise

    def _delete(self, key: str) -> None:
        try:
            self._client.delete_flow_run_input(self.flow_run, key=key)
        except PrefectHTTPStatusError as error:
            if error.response.status_code != httpx.codes.NOT_FOUND:
                raise


def _lasting(error: Exception) -> bool:
    """Will the same request have the same answer in a moment?"""
    if not isinstance(error, PrefectHTTPStatusError):
        return False
    code = error.response.status_code
    return code < _SERVER_FAULT and code not in _PASSES


def pause(idle: float) -> float:
    """Seconds until the next look, after so many without a letter: a tenth of them, in bounds."""
    return min(_LONG, max(_BRIEFLY, idle / 10))


def _letter(key: str, sender: str, value: str) -> Letter:
    try:
        return Letter(key, sender, Parcel.model_validate_json(value))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "parcel"
        return Letter(key, sender, None, f"{where}: {shown(first['msg'])}")
