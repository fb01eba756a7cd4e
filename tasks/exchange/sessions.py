"""The flow runs of a job at its hospitals' sites, and the mail that comes from them.

A session is a run of the deployment `hospital-session/NAME`, which the hospital's own worker
starts. One thread fetches all mail and sorts it by the hospital that it claims to be from.
"""

import queue
import threading
import time
from collections.abc import Callable, Mapping
from typing import Protocol, Self
from uuid import UUID

from prefect.exceptions import ObjectNotFound

from federated.errors import WardroundError
from tasks.exchange.envelope import new_nonce
from tasks.exchange.fields import COORDINATOR
from tasks.exchange.mailbox import Letter, Mailbox, Parcel, pause
from tasks.exchange.store import ExchangeError

FLOW = "hospital-session"
TROUBLE = frozenset({"refused", "missing", "fault", "session ended"})
"""Events that are no good news."""


class Report(Protocol):
    """Writes down what happened with a hospital in a round. details: never a row's value."""

    def __call__(self, what: str, hospital: str, number: int, **details: str | int) -> None: ...


class Sessions:
    """A context manager; leaving it ends the thread. plans: hospital → its signed plan. former:
    hospital → flow run of the session that it had with a coordinator that is no more. remember:
    keeps the flow runs for a coordinator that goes on after this one; from several threads."""

    def __init__(
        self,
        mailbox: Mailbox,
        run: str,
        plans: Mapping[str, bytes],
        former: Mapping[str, str],
        remember: Callable[[dict[str, str]], None],
        report: Report,
    ) -> None:
        self._mailbox, self._run, self._plans, self.report = mailbox, run, plans, report
        self._former, self._remember = former, remember
        self._runs: dict[str, UUID] = {}
        self._mail: dict[str, queue.Queue[Letter]] = {h: queue.Queue() for h in plans}
        self._waiting = threading.Semaphore(0)
        self._closed = threading.Event()
        self._fault: WardroundError | None = None
        self._thread = threading.Thread(target=self._fetch, name="mail", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._closed.set()
        self._thread.join()

    @property
    def runs(self) -> dict[str, str]:
        """Hospital → id of its session's flow run."""
        return {hospital: str(run) for hospital, run in self._runs.items()}

    def begin(self, hospital: str) -> None:
        """Ask the hospital's worker for a session. Raises WardroundError if it has never joined."""
        client, name = self._mailbox.client, f"{FLOW}/{hospital}"
        try:
            deployment = self._mailbox.patiently(lambda: client.read_deployment_by_name(name))
        except (ObjectNotFound, ExchangeError) as error:
            raise WardroundError(
                f"hospital {hospital!r}: no deployment {name} on the Prefect server; it is made "
                "by `wardround site join` at the hospital"
            ) from error
        parameters = {"run": self._run, "plan": self._plans[hospital].hex()}
        once = new_nonce()  # though it may be asked for twice, where an answer is lost
        run = self._mailbox.patiently(
            lambda: client.create_flow_run_from_deployment(
                deployment.id, parameters=parameters, tags=["wardround"], idempotency_key=once
            )
        )
        self._runs[hospital] = run.id
        self._remember(self.runs)
        self.report("session begun", hospital, 0, flow_run=str(run.id))

    def ended(self, hospital: str) -> str | None:
        """The name of the state in which the session has ended, if it has."""
        state = self._mailbox.state(self._runs[hospital])
        if state is None:
            return "gone from the server"
        return state.name if state.is_final() else None

    def take_up(self, hospital: str) -> bytes | None:
        """The plan to send to the session that the hospital still has, if it has one."""
        if hospital not in self._former:
            return None
        self._runs[hospital] = UUID(self._former[hospital])
        return self._plans[hospital] if self.ended(hospital) is None else None

    def post(self, hospital: str, sent: Parcel) -> None:
        """Put a parcel into the mailbox of the hospital's session. Raises ExchangeError."""
        self._mailbox.post(self._runs[hospital], COORDINATOR, sent)

    def next(self, hospital: str, seconds: float) -> Letter | None:
        """The hospital's next letter; None if none comes in time.

        Raises ExchangeError where no mail can be fetched.
        """
        self._waiting.release()
        try:
            return self._mail[hospital].get(timeout=seconds)
        except queue.Empty:
            if self._fault is not None:
                raise self._fault from None
            return None
        finally:
            self._waiting.acquire()

    def _fetch(self) -> None:
        """Look for mail while somebody waits for it, the less often the longer there is none."""
        since = time.monotonic()
        while not self._closed.is_set():
            if not self._waiting.acquire(timeout=0.2):
                since = time.monotonic()
                continue
            self._waiting.release()
            try:
                letters = self._mailbox.letters()
                for letter in letters:
                    self._sort(letter)
                for letter in letters:
                    self._mailbox.discard(letter)
            except ExchangeError as error:
                self._fault = error
                return
            if letters:
                since = time.monotonic()
            else:
                self._closed.wait(pause(time.monotonic() - since))

    def _sort(self, letter: Letter) -> None:
        if letter.sender in self._mail:
            self._mail[letter.sender].put(letter)
        else:
            self.report("refused", letter.sender[:64], 0, why="nobody of that name is asked")
