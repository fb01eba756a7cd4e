"""What may come in place of an update, over a real Prefect server: who is named, what counts."""

import math
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

import pytest
import torch
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Crashed, Running

from federated.config import Config
from federated.counts import to_dict
from federated.errors import WardroundError
from federated.initial import weights_of
from federated.site import LocalSite
from federated.types import Order, Update
from federated.weights import buffer_names
from tasks.engine.late import Late
from tasks.engine.sites import Board, RemoteSite, kept_at, sends_of
from tasks.exchange.admission import Accepted
from tasks.exchange.conversation import AbsentError, Common, Conversation
from tasks.exchange.envelope import new_nonce
from tasks.exchange.fields import COORDINATOR as ITSELF
from tasks.exchange.keys import PrivateKey
from tasks.exchange.mailbox import Mailbox, Parcel, parcel
from tasks.exchange.messages import of_update
from tasks.exchange.roster import Member
from tasks.exchange.session import Placed
from tasks.exchange.sessions import FLOW, Sessions
from tasks.exchange.store import Store
from tests.tasks.exchange.test_session import RUN, begun, config, placed, site
from tests.tasks.exchange.traffic import COORDINATOR, SOUTH

__all__ = ["config", "site"]  # fixtures
SECONDS = 4.0


@flow
def nothing() -> None:
    """Of the flow runs that are mailboxes here."""


@dataclass
class Hospital:
    """North, which answers as a test tells it. ready: its session; last: its newest update."""

    ready: Placed
    mailbox: Mailbox
    coordinator: UUID
    folder: Path
    last: tuple[Update, str] | None = None

    def order(self) -> tuple[Update, str]:
        """Wait for an order, and train: the update, and the base that it answers."""
        while True:
            for letter in self.mailbox.letters():
                self.mailbox.discard(letter)
                if letter.parcel is None or letter.parcel.form != "envelope":
                    continue
                found = self.ready.read(letter.parcel)
                assert not hasattr(found, "reason"), found
                trained = self.ready.local.train(found.order, {})  # type: ignore[union-attr]
                self.last = trained.update, found.base  # type: ignore[union-attr]
                return self.last

    def sealed(self, update: Update, base: str, private: PrivateKey | None = None) -> Parcel:
        """The update, put into the store and signed."""
        key = private or self.ready.session.voice.private
        message = of_update(update, RUN, base, new_nonce(), key)
        return parcel("envelope", message.sealed, self.ready.session.store.put(message.payload))

    def post(self, sent: Parcel, sender: str = "north") -> None:
        self.mailbox.post(self.coordinator, sender, sent)

    def payload(self, sent: Parcel) -> Path:
        """The file that a parcel names."""
        return self.folder / "exchange" / "north" / str(sent.payload)


@dataclass
class Met:
    """Coordinator and hospital. events: what the coordinator wrote down."""

    remote: RemoteSite
    hospital: Hospital
    order: Order
    events: list[tuple[str, str, int, dict[str, Any]]] = field(default_factory=list)

    def train(self, answer: Callable[[Hospital], None], number: int = 1) -> Update:
        """What the coordinator takes for the update of this round."""
        thread = threading.Thread(target=answer, args=(self.hospital,), daemon=True)
        thread.start()
        try:
            return self.remote.train(replace(self.order, round=number), {}).update
        finally:
            thread.join(timeout=60)

    def refused(self) -> list[str]:
        return [str(d["why"]) for what, _, _, d in self.events if what == "refused"]


@pytest.fixture
def met(config: tuple[Config, Path], site: Path, prefect_url: str) -> Iterator[Met]:
    with temporary_settings({PREFECT_API_URL: prefect_url}):
        with get_client(sync_client=True) as client:
            me, its = (client.create_flow_run(nothing, state=Running()).id for _ in range(2))
        session = begun(site, config[0])
        session = replace(session, voice=replace(session.voice, coordinator=me))
        ready, _ = placed(session)
        hospital = Hospital(ready, Mailbox(its, 5), me, site)
        events: list[tuple[str, str, int, dict[str, Any]]] = []

        def report(what: str, name: str, number: int, **details: str | int) -> None:
            events.append((what, name, number, dict(details)))

        former, told = {"north": str(its)}, dict[str, str]()
        box = Mailbox(me, 5)
        with Sessions(box, RUN, {"north": b""}, former, told.update, report) as mail:
            common = Common(RUN, COORDINATOR, str(site / "exchange"), mail)
            key = session.voice.private.public
            member = Member(key=key, max_examples=session.rows, added=date(2026, 1, 1))
            talk = Conversation("north", member, common)
            hospital.post(session.hello())
            talk.join(threading.TIMEOUT_MAX)
            rules, weights = config[0].algorithm.rules, weights_of(ready.local.network)
            store = Store(common.location, ITSELF)
            board = Board(store.put, store.drop)
            network = ready.local.network
            remote = RemoteSite(
                talk,
                rules,
                board,
                sends_of(rules, network),
                SECONDS,
                1e6,
                Late("drop"),
                buffer_names(network),
            )
            yield Met(remote, hospital, Order(1, weights), events)


def right(hospital: Hospital) -> None:
    hospital.post(hospital.sealed(*hospital.order()))


def after(*first: Callable[[Hospital, Update, str], None]) -> Callable[[Hospital], None]:
    """Something else, and then the right update."""

    def answer(hospital: Hospital) -> None:
        update, base = hospital.order()
        for one in first:
            one(hospital, update, base)
        hospital.post(hospital.sealed(update, base))

    return answer


def test_a_right_update_is_taken_and_its_payload_removed(met: Met) -> None:
    update = met.train(right)
    assert met.hospital.last is not None
    for name, tensor in met.hospital.last[0].delta.items():
        assert torch.equal(update.delta[name], tensor)
    assert met.refused() == []
    assert list((met.hospital.folder / "exchange" / "north").iterdir()) == []


def forged(hospital: Hospital, update: Update, base: str) -> None:
    hospital.post(hospital.sealed(replace(update, loss=9.0), base, SOUTH))


def of_another_round(hospital: Hospital, update: Update, base: str) -> None:
    hospital.post(hospital.sealed(replace(update, round=7), base))


def on_another_base(hospital: Hospital, update: Update, base: str) -> None:
    hospital.post(hospital.sealed(update, "a" * 64))


def of_another_version(hospital: Hospital, update: Update, base: str) -> None:
    value = hospital.sealed(update, base).model_dump_json().replace('"version":1', '"version":2')
    hospital.mailbox.client.create_flow_run_input(
        hospital.coordinator, key=f"parcel-{new_nonce()}", value=value, sender="north"
    )


def of_a_stranger(hospital: Hospital, update: Update, base: str) -> None:
    hospital.post(hospital.sealed(update, base), sender="east")


def no_base64(hospital: Hospital, update: Update, base: str) -> None:
    hospital.post(Parcel(version=1, form="envelope", sealed="§", payload=None))


@pytest.mark.parametrize(
    ("first", "why"),
    [
        (forged, "signature"),
        (of_another_round, "round: round is 7, 1 is waited for"),
        (on_another_base, "base"),
        (of_another_version, "version"),
        (of_a_stranger, "nobody of that name is asked"),
        (no_base64, "signature"),
    ],
)
def test_what_is_not_its_answer_is_written_down_and_the_answer_still_counts(
    met: Met, first: Callable[[Hospital, Update, str], None], why: str
) -> None:
    assert met.train(after(first)).loss < 9
    assert len(met.refused()) == 1
    assert why in met.refused()[0]


def test_a_repeated_update_counts_once_and_does_not_disturb_the_next_round(met: Met) -> None:
    def twice(hospital: Hospital) -> None:
        sent = hospital.sealed(*hospital.order())
        hospital.post(sent)
        hospital.post(sent)

    met.train(twice)
    assert met.train(right, number=2).round == 2
    assert met.refused() == ["round: round is 1, 2 is waited for"]


def spoilt(change: Callable[[Update], Update]) -> Callable[[Hospital], None]:
    def answer(hospital: Hospital) -> None:
        update, base = hospital.order()
        hospital.post(hospital.sealed(change(update), base))

    return answer


def with_delta(change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[Update], Update]:
    return lambda u: replace(u, delta={name: change(t) for name, t in u.delta.items()})


def flipped(hospital: Hospital) -> None:
    """One bit of the payload, on its way."""
    sent = hospital.sealed(*hospital.order())
    path = hospital.payload(sent)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    hospital.post(sent)


def cut_off(hospital: Hospital) -> None:
    """A payload of which half arrived."""
    sent = hospital.sealed(*hospital.order())
    path = hospital.payload(sent)
    path.write_bytes(path.read_bytes()[:100])
    hospital.post(sent)


def gone(hospital: Hospital) -> None:
    """A payload that nobody finds."""
    sent = hospital.sealed(*hospital.order())
    hospital.payload(sent).unlink()
    hospital.post(sent)


def says_why_not(hospital: Hospital) -> None:
    hospital.order()
    hospital.post(hospital.ready.session.voice.note("fault", 0, why="the disk is full"))


def silent(hospital: Hospital) -> None:
    hospital.order()


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (spoilt(with_delta(lambda t: t * float("nan"))), "finite"),
        (spoilt(with_delta(lambda t: t[None])), "tensors"),
        (spoilt(with_delta(lambda t: t.double())), "size|tensors"),
        (spoilt(with_delta(lambda t: torch.full_like(t, 1e7))), "norm"),
        (spoilt(lambda u: replace(u, examples=u.examples + 1)), "examples"),
        (flipped, "payload"),
        (cut_off, "payload"),
        (gone, "payload"),
        (says_why_not, "the disk is full"),
        (silent, "no answer in time"),
    ],
)
def test_an_update_that_is_wrong_is_missing_and_the_hospital_named(
    met: Met, answer: Callable[[Hospital], None], why: str
) -> None:
    with pytest.raises(AbsentError, match=rf"hospital 'north', round 1: .*({why})"):
        met.train(answer)
    said = [e for e in met.events if e[0] in ("refused", "missing", "fault")]
    assert [(name, number) for _, name, number, _ in said] == [("north", 1)]


@pytest.mark.parametrize(("rule", "newer"), [("next", False), ("next", True), ("drop", False)])
def test_a_late_update_counts_in_the_next_round_if_nothing_newer_comes(
    met: Met, rule: Literal["drop", "next"], newer: bool
) -> None:
    met.remote = replace(met.remote, seconds=1.5, late=Late(rule))
    with pytest.raises(AbsentError, match="no answer in time"):
        met.train(silent)
    assert met.hospital.last is not None
    met.hospital.post(met.hospital.sealed(*met.hospital.last))
    if rule == "drop":
        with pytest.raises(AbsentError, match="round 2: no answer in time"):
            met.train(silent, number=2)
        assert met.refused() == ["round: round is 1, 2 is waited for"]
        return
    if newer:
        met.remote = replace(met.remote, seconds=120)  # as long as the answer takes
    update = met.train(right if newer else silent, number=2)
    assert update.round == (2 if newer else 1)
    assert [e[2:] for e in met.events if e[0] == "late"] == [(2, {"of": 1})]
    assert met.refused() == []
    met.remote = replace(met.remote, seconds=1.5)
    with pytest.raises(AbsentError):  # it counts once
        met.train(silent, number=3)


def test_a_late_update_is_checked_like_any_other(met: Met) -> None:
    met.remote = replace(met.remote, seconds=3.0, late=Late("next"))
    with pytest.raises(AbsentError):
        met.train(silent)
    assert met.hospital.last is not None
    update, base = met.hospital.last
    for spoilt in (replace(update, examples=10**6), replace(update, loss=float("inf"))):
        met.hospital.post(met.hospital.sealed(spoilt, base))
    met.hospital.post(met.hospital.sealed(update, "b" * 64))
    with pytest.raises(AbsentError, match="round 2"):
        met.train(silent, number=2)
    assert len(met.refused()) == 3


def followed(hospital: Hospital) -> Parcel:
    """The right answer to whatever is asked."""
    while True:
        for letter in hospital.mailbox.letters():
            hospital.mailbox.discard(letter)
            if letter.parcel is not None and letter.parcel.form == "envelope":
                found = hospital.ready.read(letter.parcel)
                assert isinstance(found, Accepted)
                return hospital.ready.follow(found, LocalSite.train)


def aside(answer: Callable[[], None]) -> None:
    """The hospital answers while the coordinator waits."""
    threading.Thread(target=answer, daemon=True).start()


def test_counts_and_loss_are_the_hospitals_own(met: Met) -> None:
    hospital, weights = met.hospital, met.order.weights
    aside(lambda: hospital.post(followed(hospital)))
    counted = met.remote.counted(Order(0, weights), {})
    here = hospital.ready.local.evaluate(weights, {})
    assert to_dict(counted.test) == to_dict(here.test)
    aside(lambda: hospital.post(followed(hospital)))
    assert met.remote.loss(weights, {}) == hospital.ready.local.loss(weights, {})


def test_who_does_not_say_its_loss_is_the_last_to_be_chosen(met: Met) -> None:
    met.remote = replace(met.remote, seconds=1.0)
    aside(lambda: silent(met.hospital))
    assert met.remote.loss(met.order.weights, {}) == -math.inf
    assert [e[:2] for e in met.events if e[0] == "missing"] == [("missing", "north")]


def test_a_repeated_loss_does_not_count(met: Met) -> None:
    """It is right for the round, signed, and of other weights."""
    hospital, weights = met.hospital, met.order.weights
    old: list[Parcel] = []

    def first() -> None:
        old.append(followed(hospital))
        hospital.post(old[0])

    def second() -> None:
        answer = followed(hospital)
        hospital.post(old[0])
        hospital.post(answer)

    aside(first)
    before = met.remote.loss(weights, {})
    aside(second)
    other = {name: tensor + 1 for name, tensor in weights.items()}
    assert met.remote.loss(other, {}) == hospital.ready.local.loss(other, {}) != before
    assert met.refused() == ["nonce: loss that answers no question asked now: this is a repetition"]


def test_a_session_is_remembered_as_soon_as_it_is_begun(prefect_url: str) -> None:
    """So that a coordinator that goes on after a kill finds it, joined or not."""
    events: list[str] = []
    kept: dict[str, str] = {}

    def report(what: str, name: str, number: int, **details: str | int) -> None:
        events.append(what)

    with temporary_settings({PREFECT_API_URL: prefect_url}), get_client(sync_client=True) as client:
        client.create_deployment(client.create_flow_from_name(FLOW), name="lonely")
        me = client.create_flow_run(nothing, state=Running()).id
        plans = {"lonely": b"plan"}
        with Sessions(Mailbox(me, 5), RUN, plans, {}, kept.update, report) as sessions:
            assert sessions.take_up("lonely") is None
            sessions.begin("lonely")
            assert sessions.ended("lonely") is None
        run = client.read_flow_run(UUID(kept["lonely"]))
        assert run.parameters == {"run": RUN, "plan": b"plan".hex()}
        with Sessions(Mailbox(me, 5), RUN, plans, dict(kept), kept.update, report) as sessions:
            assert sessions.take_up("lonely") == b"plan"
            client.set_flow_run_state(run.id, Crashed(), force=True)
            assert sessions.ended("lonely") == "Crashed"
            assert sessions.take_up("lonely") is None
        with (
            Sessions(Mailbox(me, 5), RUN, {"nobody": b""}, {}, kept.update, report) as sessions,
            pytest.raises(WardroundError, match="made by `wardround site join`"),
        ):
            sessions.begin("nobody")
    assert events == ["session begun"]


def test_payloads_of_rounds_that_are_over_are_removed(tmp_path: Path) -> None:
    store = Store(str(tmp_path), ITSELF)
    board = Board(store.put, store.drop)
    orders = [Order(number, {"w": torch.tensor(float(number))}) for number in range(5)]
    names = [board.body(order).name for order in orders]
    assert board.body(orders[4]).name == names[4]
    assert sorted(p.name for p in (tmp_path / ITSELF).iterdir()) == sorted(names[3:])
    board.clear()
    assert list((tmp_path / ITSELF).iterdir()) == []


def test_a_state_is_named_by_its_round(met: Met) -> None:
    """The coordinator never has it."""
    thread = threading.Thread(target=right, args=(met.hospital,), daemon=True)
    thread.start()
    trained = met.remote.train(met.order, {})
    assert {name: int(t) for name, t in trained.state.items()} == {"site/round": 1}
    assert trained.state.keys() == kept_at(1).keys()
