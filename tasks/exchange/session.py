"""A hospital's session in a job: it joins, and then follows orders of its own coordinator alone.

Everything here runs at the hospital. What it sends: a hello with counts and sums, updates, counts
of the model's scores, and reasons why not.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Self
from uuid import UUID

from federated.config import Config, parse
from federated.counts import to_dict
from federated.encoding import Encoding, agreed, measured, squared
from federated.errors import DataError, WardroundError
from federated.initial import build, weights_of
from federated.objectives import objective_of
from federated.preprocessing import encode_hospital
from federated.records import RawHospital
from federated.site import LocalSite
from federated.types import Order, Trained, Weights
from tasks.exchange import keys
from tasks.exchange.admission import Accepted, Awaited, Refused, accept_order
from tasks.exchange.audit import Event
from tasks.exchange.envelope import EVALUATE, LOSS, new_nonce, unseal
from tasks.exchange.fields import COORDINATOR
from tasks.exchange.hello import floats, hello_body, hello_of, hexes, statistics_in
from tasks.exchange.kept_states import KeptStates
from tasks.exchange.mailbox import Parcel, parcel
from tasks.exchange.messages import of_update, order_template
from tasks.exchange.note import Note, open_note, seal_note
from tasks.exchange.own_data import up_to_date
from tasks.exchange.policy import Plan, plan_of
from tasks.exchange.refusal import RefusalError
from tasks.exchange.site import SITE, SiteConfig, located, read_site
from tasks.exchange.store import Store
from tasks.hospital_files import RECORDS, load_hospital
from tasks.versions import md5

_SPARE = 900.0  # seconds, for what the coordinator does itself, and to start it again
Train = Callable[[LocalSite, Order, Weights], Trained]


@dataclass(frozen=True)
class Voice:
    """Who speaks, to whom, in which job. coordinator: its flow run."""

    site: SiteConfig
    run: str
    coordinator: UUID
    private: keys.PrivateKey

    def note(self, kind: str, number: int, answers: str = "", **body: object) -> Parcel:
        """A signed note to the coordinator. answers: the nonce of its question."""
        said = Note(kind, self.run, self.site.name, number, new_nonce(), answers, dict(body))
        return parcel("note", seal_note(said, self.private))

    def opened(self, sent: Parcel) -> Note:
        """The coordinator's note. Raises RefusalError."""
        return open_note(sent.bytes, self.site.coordinator, self.run, self.site.name)

    def order_round(self, sent: Parcel) -> int | None:
        """The round of an order that the coordinator signed for this job; None if it is none."""
        try:
            found = unseal(sent.bytes, self.site.coordinator) if sent.form == "envelope" else None
        except RefusalError:
            return None
        return found.round if found is not None and found.run == self.run else None


def asked(folder: Path, run: str, plan: bytes) -> tuple[Voice, Config]:
    """Who asks for what. folder: of site.yaml; plan: the coordinator's signed note.

    Raises RefusalError for another's plan, ConfigError and BadKeyError.
    """
    site = read_site(folder / SITE)
    note = open_note(plan, site.coordinator, run, site.name)
    if note.kind != "plan":
        raise RefusalError("kind", f"kind is {note.kind!r}, not a plan")
    config = parse(json.loads(note.body["config"]), "the coordinator's plan")
    coordinator = UUID(note.body["coordinator"])
    return Voice(site, run, coordinator, keys.load(folder / site.key)), config


@dataclass(frozen=True)
class Session:
    """Of one hospital in one job. orders: the coordinator's payloads; store: its own. raw, digest:
    its records, and their md5."""

    voice: Voice
    config: Config
    orders: Store
    store: Store
    states: KeptStates
    raw: RawHospital
    digest: str

    @classmethod
    def begin(cls, folder: Path, voice: Voice, config: Config) -> Self:
        """Load the hospital's records, made anew if they are stale. Raises DataError."""
        site = voice.site
        data = up_to_date(folder.resolve(), (folder / site.data).resolve(), config)
        raw = load_hospital(data)
        if raw.name != site.name:
            raise DataError(
                f"{data}: the folder of hospital {raw.name!r}, {SITE} says {site.name!r}"
            )
        location = located(folder, site.exchange)
        return cls(
            voice=voice,
            config=config,
            orders=Store(location, COORDINATOR),
            store=Store(location, site.name),
            states=KeptStates(folder / "state" / voice.run),
            raw=raw,
            digest=md5(data / RECORDS),
        )

    def under(self, note: Note) -> Self:
        """The session, answering the flow run that a new plan names. Raises RefusalError where it
        is not the plan that was permitted."""
        if json.loads(note.body["config"]) != self.config.model_dump(mode="json"):
            raise RefusalError("run", "another plan for the same job")
        voice = replace(self.voice, coordinator=UUID(note.body["coordinator"]))
        return replace(self, voice=voice)

    @property
    def plan(self) -> Plan:
        """What the job does here."""
        return plan_of(self.config, self.raw.schema, self.voice.run)

    @property
    def rows(self) -> int:
        """Training rows, or patients where the data name them."""
        return self.raw.trains_on

    @property
    def idle_most(self) -> float:
        """Seconds: a coordinator that is there says something sooner, even if all others are late
        in training and in evaluation."""
        settings = self.config.federation
        return settings.join_s + (2 + settings.retries) * settings.deadline_s + _SPARE

    def event(self, what: str, number: int | None = None, **details: str | int) -> Event:
        """For the hospital's audit log."""
        return Event(what, self.voice.site.name, number, {"run": self.voice.run, **details})

    def hello(self) -> Parcel:
        """What it joins with."""
        body = hello_body(hello_of(self.raw, self.digest, self.config.data.scaling))
        return self.voice.note("hello", 0, **body)

    def squares(self, note: Note) -> Parcel:
        """The answer to the mean over all hospitals. Raises RefusalError."""
        mean = floats(note.body.get("mean"), measured(self.raw.schema))
        found = squared(self.raw, self.config.data.scaling, mean)
        return self.voice.note("squares", 0, note.nonce, squares=hexes(found))

    def placed(self, note: Note) -> "Placed":
        """Its rows as model inputs, by the statistics of all. Raises RefusalError."""
        data, schema = self.config.data, self.raw.schema
        statistics, tally = statistics_in(note.body, schema)
        found = agreed(schema, data.scaling, data.missing_indicators, tally, statistics)
        return Placed.begin(self, found)


@dataclass(frozen=True)
class Placed:
    """A session that can follow orders."""

    session: Session
    local: LocalSite

    @classmethod
    def begin(cls, session: Session, encoding: Encoding) -> Self:
        """Encode the rows and build the network, as the coordinator does."""
        config, shape, codes = session.config, encoding.shape, encoding.codes
        objective = objective_of(encoding.schema, encoding.target)
        local = LocalSite(
            data=encode_hospital(session.raw, encoding),
            network=build(config.architecture, shape, objective.outputs, config.run.seed, codes),
            algorithm=config.algorithm.rules,
            seed=config.run.seed,
            objective=objective,
            resolution=config.evaluation,
        )
        return cls(session, local)

    @cached_property
    def awaited(self) -> Awaited:
        """Orders of any round: which of its states counts, each order says itself."""
        session, weights = self.session, weights_of(self.local.network)
        extra = {n: weights[n].float() for n, _ in self.local.network.named_parameters()}
        voice = session.voice
        key = voice.site.coordinator
        return Awaited(voice.run, voice.site.name, 0, key, order_template(weights, extra))

    def read(self, sent: Parcel) -> Accepted | Refused:
        """The order in a parcel. Raises ExchangeError where its payload cannot be read."""
        most = self.awaited.template.most
        payload = self.session.orders.get(sent.payload, most) if sent.payload else b""
        return accept_order(sent.bytes, payload, self.awaited)

    def follow(self, found: Accepted, train: Train) -> Parcel:
        """Do what was asked; the answer. A state is on the disk before its update leaves.

        Raises WardroundError, which the coordinator is told.
        """
        session, order = self.session, found.order
        state = session.states.load(found.state)
        if found.kind == EVALUATE:
            counted = self.local.evaluate(order.weights, state)
            chosen = counted.validation
            test, validation = to_dict(counted.test), None if chosen is None else to_dict(chosen)
            return session.voice.note(
                "counts", order.round, found.nonce, test=test, validation=validation
            )
        if found.kind == LOSS:
            loss = self.local.loss(order.weights, state)
            return session.voice.note("loss", order.round, found.nonce, loss=hexes([loss]))
        trained = train(self.local, order, state)
        if trained.state and session.config.federation.late == "next":
            raise WardroundError(
                "federation.late next: this hospital keeps a state of its own from round to round, "
                "and a late update would skip one; choose drop"
            )
        session.states.store(order.round, trained.state, still=found.state)
        message = of_update(
            trained.update, session.voice.run, found.base, new_nonce(), session.voice.private
        )
        return parcel("envelope", message.sealed, session.store.put(message.payload))
