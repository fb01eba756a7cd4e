"""A hospital's part in a job, as a flow run of its own next to its own data.

`wardround site join` starts it when a coordinator asks: this very code as it is installed at the
hospital, with two texts as parameters, of which the plan is signed. Run by hand:
`python -m flows.hospital_session FLOW_RUN_ID`.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from uuid import UUID

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.flow_engine import run_flow
from prefect.runtime import flow_run

from federated.errors import WardroundError
from federated.site import LocalSite
from federated.types import Order, Trained, Weights
from tasks.environment import prepare_environment
from tasks.exchange.admission import Refused
from tasks.exchange.audit import Audit, Event, opened
from tasks.exchange.mailbox import Mailbox, Parcel, pause
from tasks.exchange.policy import examine
from tasks.exchange.refusal import RefusalError
from tasks.exchange.session import Placed, Session, Voice, asked
from tasks.exchange.sessions import FLOW
from tasks.exchange.store import ExchangeError
from tasks.rounds import unseen
from tasks.suspension import pause_until_resumed

FOLDER = "WARDROUND_SITE"
"""Environment variable: the folder of site.yaml."""
_PATIENCE = 3600.0  # seconds for which the Prefect server may be gone
_APPROVAL = 7 * 24 * 3600  # seconds that a job waits for a person's approval
_LOOK = 5.0  # seconds without a letter, until the session looks whether it was cancelled


@task(
    task_run_name="train · {hospital} · round {number:03d}",
    cache_policy=NO_CACHE,
    persist_result=False,
    result_serializer="json",  # of what fails Prefect makes a result all the same
)
def train(hospital: str, number: int, site: LocalSite, order: Order, state: Weights) -> Trained:
    """One round on the hospital's own rows."""
    return site.train(order, state)


@flow(name=FLOW, persist_result=False, result_serializer="json")
def hospital_session(run: str, plan: str) -> None:
    """Join the job `run` and follow its orders until it is over. plan: a signed note, in hex.

    Raises WardroundError where the plan is not the coordinator's, the site's policy refuses it, or
    the data cannot be read; the coordinator is told why.
    """
    folder = Path(os.environ.get(FOLDER, "."))
    voice, config = asked(folder, run, bytes.fromhex(plan))
    assert flow_run.id is not None
    mailbox = Mailbox(UUID(flow_run.id), _PATIENCE)
    with opened(folder / voice.site.audit, voice.private) as audit, _told(voice, mailbox, audit):
        session = Session.begin(folder, voice, config)
        permit(session, audit)
        current = caught_up(session, mailbox)
        if current is not None:
            say_hello(current, mailbox, audit)
            attend(current, mailbox, audit)


def permit(session: Session, audit: Audit) -> None:
    """Compare the job's plan with the site's policy; wait for a person where that asks for one.

    Raises WardroundError with every reason for a refusal.
    """
    plan, site = session.plan, session.voice.site
    audit.append(session.event("asked", plan=plan.digest))
    reasons = examine(site.policy, plan, session.rows, datetime.now().astimezone())
    if reasons:
        raise WardroundError(f"refused by the hospital's policy: {'; '.join(reasons)}")
    if site.policy.approval == "not_required" or session.states.approved(plan.digest):
        return
    create_markdown_artifact(
        plan.markdown(), key=f"plan-{site.name.replace('_', '-')}", description="Resume to approve"
    )
    if not pause_until_resumed(f"job {plan.run} waits for approval at {site.name}", _APPROVAL):
        raise WardroundError(f"nobody at {site.name} has approved the job within a week")
    session.states.approve(plan.digest)
    audit.append(session.event("approved", plan=plan.digest))


def caught_up(session: Session, mailbox: Mailbox) -> Session | None:
    """After what came before it said hello, while it waited for approval or was cut off: under the
    newest plan, or None if the job is over. Orders of that time come again, and are discarded."""
    current: Session | None = session
    while letters := mailbox.letters():
        for letter in letters:
            if letter.parcel is not None and letter.parcel.form == "note" and current is not None:
                with suppress(RefusalError):
                    current = _told_before(current, letter.parcel)
            mailbox.discard(letter)
    return current


def _told_before(session: Session, sent: Parcel) -> Session | None:
    note = session.voice.opened(sent)
    if note.kind == "done":
        return None
    return session.under(note) if note.kind == "plan" else session


def say_hello(session: Session, mailbox: Mailbox, audit: Audit) -> None:
    """Join, or join again."""
    mailbox.peer = session.voice.coordinator
    _post(session.voice, mailbox, session.hello())
    audit.append(session.event("joined", md5=session.digest))


def attend(session: Session, mailbox: Mailbox, audit: Audit) -> None:
    """Answer the coordinator until it says that the job is over."""
    placed: Placed | None = None
    for sent in incoming(mailbox, session.idle_most, session.voice.order_round):
        try:
            if sent.form == "envelope" and placed is not None:
                _follow(placed, sent, mailbox, audit)
            if sent.form == "envelope":
                continue
            note = session.voice.opened(sent)
            match note.kind:
                case "done":
                    audit.append(session.event("done", how=str(note.body.get("how"))))
                    return
                case "plan":  # of a coordinator that was killed, and goes on as another flow run
                    session, placed = session.under(note), None
                    say_hello(session, mailbox, audit)
                case "mean":
                    _post(session.voice, mailbox, session.squares(note))
                    audit.append(session.event("sent", answers="mean"))
                case "statistics":
                    placed = session.placed(note)
        except RefusalError as error:
            audit.append(session.event("refused", why=str(error)))


def _post(voice: Voice, mailbox: Mailbox, sent: Parcel) -> None:
    mailbox.post(voice.coordinator, voice.site.name, sent)


def _follow(placed: Placed, sent: Parcel, mailbox: Mailbox, audit: Audit) -> None:
    """Answer an order that is right. Raises RefusalError for any other."""
    found = placed.read(sent)
    if isinstance(found, Refused):
        raise RefusalError(found.check, found.reason)
    number, session = found.order.round, placed.session

    def as_task(site: LocalSite, order: Order, state: Weights) -> Trained:
        return train(site.hospital, number, unseen(site), unseen(order), unseen(state))

    answer = placed.follow(found, as_task)
    _post(session.voice, mailbox, answer)
    audit.append(session.event("sent", number, answers=found.kind, payload=answer.payload or ""))


def incoming(
    mailbox: Mailbox, idle_most: float, order_round: Callable[[Parcel], int | None]
) -> Iterator[Parcel]:
    """Parcels as they come, but for orders that newer ones have overtaken.

    Raises WardroundError once this flow run, or the coordinator's, is over, or if none comes for
    `idle_most` seconds: a coordinator that was killed says nothing.
    """
    since = looked = time.monotonic()
    while True:
        letters = mailbox.letters()
        came = [one.parcel for one in letters]
        rounds = [None if one is None else order_round(one) for one in came]
        for place, (letter, sent) in enumerate(zip(letters, came, strict=True)):
            if sent is not None and not overtaken(rounds, place):
                yield sent
            mailbox.discard(letter)
        now = time.monotonic()
        if letters:
            since = now
            continue
        if now - looked > _LOOK:
            looked = now
            for run in (mailbox.flow_run, mailbox.peer):
                state = mailbox.state(run)
                if state is None or state.is_final():
                    whose = "this session" if run == mailbox.flow_run else "the coordinator's run"
                    raise WardroundError(f"{whose} has ended ({state and state.name})")
            if now - since > idle_most:
                raise WardroundError(f"nothing was heard of the coordinator for {idle_most:.0f} s")
        time.sleep(pause(now - since))


def overtaken(rounds: Sequence[int | None], place: int) -> bool:
    """Is there a later order of this round or a newer one? Then nobody waits for this one. rounds:
    of the orders among what came; None is something else."""
    this = rounds[place]
    return this is not None and any(r is not None and r >= this for r in rounds[place + 1 :])


@contextmanager
def _told(voice: Voice, mailbox: Mailbox, audit: Audit) -> Iterator[None]:
    """The coordinator is told of what ends the session early."""
    try:
        yield
    except WardroundError as error:
        audit.append(Event("fault", voice.site.name, None, {"run": voice.run, "why": str(error)}))
        with suppress(ExchangeError):
            _post(voice, mailbox, voice.note("fault", 0, why=str(error)))
        raise


def main(given: str) -> None:
    """Run the flow run of this id here, whatever code its deployment names."""
    prepare_environment(Path.cwd())
    with get_client(sync_client=True) as client:
        asked_for = client.read_flow_run(UUID(given))
    run_flow(hospital_session, flow_run=asked_for, parameters=asked_for.parameters)


if __name__ == "__main__":
    main(sys.argv[1])
