"""Hospitals at their own sites train and count; their answers are checked here, one by one."""

import math
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from prefect.task_runners import TaskRunner
from torch import nn

from federated import states
from federated.algorithm import Algorithm
from federated.counts import Counts
from federated.errors import DataError, WardroundError
from federated.initial import weights_of
from federated.objectives import Objective, from_dict
from federated.shares import Missing, Share, train_share
from federated.site import Evaluated
from federated.types import Order, RowCounts, Trained, Weights
from federated.weights import buffer_names, trained_names
from tasks.engine import Evaluation, packed
from tasks.engine.late import Late
from tasks.exchange.admission import Admitted, Expected, Refused, admit, glance
from tasks.exchange.conversation import AbsentError, Conversation
from tasks.exchange.envelope import EVALUATE, LOSS, ORDER, new_nonce
from tasks.exchange.hello import floats
from tasks.exchange.mailbox import Parcel
from tasks.exchange.messages import Body, body_of, of_order, update_template
from tasks.exchange.note import Note
from tasks.exchange.refusal import RefusalError
from tasks.exchange.store import ExchangeError
from tasks.exchange.template import Template

T = TypeVar("T")


class Board:
    """The payload of a round, put into the store once for all its hospitals."""

    def __init__(self, put: Callable[[bytes], str], drop: Callable[[str], None]) -> None:
        self._put, self._drop = put, drop
        self._lock = threading.Lock()
        self._now: dict[int, tuple[Order, Body]] = {}

    def body(self, order: Order) -> Body:
        """Of this order, in the store; payloads of the rounds before the last are removed."""
        with self._lock:
            if id(order) not in self._now:
                found = body_of(order)
                self._put(found.payload)
                self._forget(order.round - 1, found.name)
                self._now[id(order)] = (order, found)
            return self._now[id(order)][1]

    def weights(self, base: str) -> Weights:
        """Of the order, this round's or the last one's, whose weights have this SHA-256; nothing if
        it is older."""
        with self._lock:
            found = (order.weights for order, body in self._now.values() if body.base == base)
            return next(found, {})

    def clear(self) -> None:
        """Remove all that is left: the job is over."""
        with self._lock:
            for name in {body.name for _, body in self._now.values()}:
                self._drop(name)
            self._now.clear()

    def _forget(self, before: int, keep: str) -> None:
        old = [key for key, (order, _) in self._now.items() if order.round < before]
        names = {self._now.pop(key)[1].name for key in old}
        for name in names - {keep} - {body.name for _, body in self._now.values()}:
            self._drop(name)


@dataclass(frozen=True)
class RemoteSite:
    """A hospital elsewhere, as `federated.site.Site` has it.

    Its state stays there; the coordinator keeps the number of the round that it is of. sends: what
    updates hold besides the delta; seconds: until an answer is missing. late: what came too
    late for its round. used: nonces so far.
    """

    talk: Conversation
    algorithm: Algorithm
    board: Board
    sends: Template
    seconds: float
    norm_bound: float | None
    late: Late
    buffers: frozenset[str]
    own: frozenset[str] = frozenset()
    used: set[str] = field(default_factory=set)

    @property
    def hospital(self) -> str:
        """Its name."""
        return self.talk.hospital

    @property
    def rows(self) -> RowCounts:
        """As it said when it joined."""
        return self.talk.known.rows

    def train(self, order: Order, state: Weights) -> Trained:
        """Have it train. Raises AbsentError where no right update comes in time."""
        body = self.board.body(order)

        def read(sent: Parcel) -> Admitted | Refused:
            return self._admitted(sent, order.round, body.base)

        try:
            found = self._ask(ORDER, order, body, state, read, set())
            self.late.in_time()
        except AbsentError:
            before = self.late.close(order.round, body.base)
            if before is None:
                raise
            found = before
        self._write_down(found, order.round)
        return Trained(found.update, kept_at(found.update.round))

    def _write_down(self, found: Admitted, number: int) -> None:
        update = found.update
        details = {"examples": update.examples, "steps": update.steps}
        if update.round != number:
            details["of"] = update.round
        self.talk.event("accepted", number, nonce=found.nonce, **details)

    def _admitted(self, sent: Parcel, number: int, base: str) -> Admitted | Refused:
        """The update of a parcel, and its payload removed, if every check is passed."""
        expected, store = self._expected(number, base), self.talk.store
        refused = glance(sent.bytes, expected)
        if refused is not None:
            return refused
        try:
            payload = store.get(sent.payload, self.sends.most) if sent.payload else b""
        except ExchangeError as error:
            return Refused(self.hospital, number, "payload", str(error))
        found = admit(sent.bytes, payload, expected)
        if isinstance(found, Admitted):
            self.used.add(found.nonce)
            if sent.payload:
                store.drop(sent.payload)
        return found

    def loss(self, weights: Weights, state: Weights) -> float:
        """Mean loss over its training rows; -∞ of a hospital that does not answer, so that it is
        chosen only where there are not enough others. What was wrong is written down."""
        order = Order(int(round_of(state)), weights)
        try:
            note = self._asked(LOSS, "loss", order, state)
            return floats(note.body.get("loss"), 1)[0]
        except RefusalError as error:
            self.talk.event("refused", order.round, why=f"{error.check}: {error.why}")
        except AbsentError:  # the conversation has written it down
            pass
        return -math.inf

    def counted(self, order: Order, state: Weights) -> Evaluated:
        """Counts of the order's weights over its test and validation rows. Raises AbsentError."""
        note = self._asked(EVALUATE, "counts", order, state)
        try:
            test = from_dict(note.body["test"])
            validation = note.body["validation"]
            return Evaluated(test, None if validation is None else from_dict(validation))
        except (DataError, KeyError, TypeError, AttributeError) as error:
            raise AbsentError(self.hospital, order.round, f"form: {error}") from error

    def _asked(self, kind: str, answer: str, order: Order, state: Weights) -> Note:
        """The note that answers an order which changes nothing at the hospital."""
        questions: set[str] = set()

        def read(sent: Parcel) -> Note | Refused:
            return self.talk.read_note(answer, order.round, sent, questions)

        return self._ask(kind, order, self.board.body(order), state, read, questions)

    def _ask(
        self,
        kind: str,
        order: Order,
        body: Body,
        state: Weights,
        read: Callable[[Parcel], T | Refused],
        questions: set[str],
    ) -> T:
        """questions: gets the nonce of each time that it is asked."""
        talk, opened = self.talk, order.round if kind == ORDER else None

        def read_late(sent: Parcel) -> T | Refused | None:
            found = self.late.take(sent, opened, self._admitted)
            if found is None:
                return read(sent)
            talk.event("late", order.round, of=found.update.round)
            return None

        def post() -> None:
            nonce, kept = new_nonce(), {talk.hospital: round_of(state)}
            questions.add(nonce)
            private, run = talk.common.private, talk.common.run
            nonces = {talk.hospital: nonce}
            orders = of_order(order, run, nonces, private, kind=kind, kept=kept, body=body)
            talk.event("asked", order.round, to=kind, payload=body.name)
            talk.post(orders.sealed[talk.hospital], body.name)

        return talk.ask(order.round, self.seconds, post, read_late)

    def _expected(self, number: int, base: str) -> Expected:
        return Expected(
            run=self.talk.common.run,
            round=number,
            hospital=self.hospital,
            base=base,
            key=self.talk.member.key,
            template=self.sends,
            max_examples=self.talk.member.max_examples,
            used=self.used,
            scalars=self.algorithm.needs,
            norm_bound=self.norm_bound,
            weights=self.board.weights(base),
        )


def kept_at(number: int) -> Weights:
    """What stands for a state that a hospital keeps itself: the round that it is of."""
    return states.join(site={"round": torch.tensor(number)})


def round_of(state: Weights) -> int:
    """Of `kept_at`; 0 before the first round."""
    return int(states.part(state, "site").get("round", torch.tensor(0)))


def sends_of(algorithm: Algorithm, network: nn.Module) -> Template:
    """What its updates hold, for this model."""
    weights = weights_of(network)
    trained = {name: t for name, t in weights.items() if name in trained_names(network)}
    learns = {name: weights[name] for name, _ in network.named_parameters()}
    buffers = {name: t for name, t in weights.items() if name in buffer_names(network)}
    controls = learns if algorithm.names["local"] == "scaffold" else {}
    return update_template(trained, controls, buffers)


@dataclass(frozen=True)
class Sites:
    """The engine of a deployment: every hospital is a share of its own, and all at a time.

    runner: has a thread for each, however few cores are here.
    """

    algorithm: Algorithm
    sites: Mapping[str, RemoteSite]
    objective: Objective
    runner: TaskRunner[Any]

    @property
    def lanes(self) -> int:
        """All of them: they compute elsewhere."""
        return len(self.sites)

    @property
    def apart(self) -> int:
        """Each is a task run."""
        return len(self.sites)

    def train(self, cohort: Sequence[str], order: Order, states: Mapping[str, Weights]) -> Share:
        """See `tasks.engine.Engine`; a hospital that does not answer is among the missing."""
        (hospital,) = cohort
        try:
            return train_share(self.algorithm, [self.sites[hospital]], order, states)
        except AbsentError as error:
            return Share((), None, missing=(Missing(hospital, order.round, error.why),))

    def evaluate(self, number: int, weights: Weights, states: Mapping[str, Weights]) -> Evaluation:
        """Counts of those who answer. Raises WardroundError where nobody does."""
        order = Order(number, weights)
        one = next(iter(self.sites.values()))
        one.board.body(order)

        def ask(site: RemoteSite) -> Evaluated | None:
            try:
                return self._fitting(
                    site, site.counted(order, states.get(site.hospital, {})), number
                )
            except AbsentError:
                return None  # the conversation has written it down

        with ThreadPoolExecutor(len(self.sites)) as threads:
            answers = list(threads.map(ask, self.sites.values()))
        found = {h: e for h, e in zip(self.sites, answers, strict=True) if e is not None}
        if not found:
            raise WardroundError(f"round {number}, evaluation: no hospital answered")
        return packed(_alike(found))

    def close(self) -> None:
        """Holds nothing."""

    def _fitting(self, site: RemoteSite, found: Evaluated, number: int) -> Evaluated:
        rows = site.rows
        counted = (found.test.rows, found.validation.rows if found.validation else 0)
        kinds = {c.reading.kind for c in (found.test, found.validation) if c is not None}
        if counted != (rows.test, rows.validation) or kinds != {self.objective.reading.kind}:
            why = f"counts of {counted} rows of {kinds}: it has {rows.test} and {rows.validation}"
            site.talk.event("refused", number, why=why)
            raise AbsentError(site.hospital, number, why)
        return found


def _alike(found: dict[str, Evaluated]) -> dict[str, Evaluated]:
    """Those whose counts have the shapes that most have: others cannot be added."""
    shapes = {h: (_shape(one.test), _shape(one.validation)) for h, one in found.items()}
    usual = max(shapes.values(), key=list(shapes.values()).count)
    return {h: one for h, one in found.items() if shapes[h] == usual}


def _shape(counts: Counts | None) -> tuple[tuple[int, ...], ...]:
    """None, of a hospital without validation rows, has none."""
    return () if counts is None else tuple(getattr(counts, n).shape for n in counts.arrays)
