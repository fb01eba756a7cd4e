"""A job whose hospitals are at their own sites: they join, agree on statistics, and are let go."""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar
from uuid import UUID

from federated.config import Config
from federated.encoding import agreed, merged, with_notes
from federated.errors import ConfigError, DataError, WardroundError
from federated.initial import build
from federated.objectives import objective_of
from federated.preprocessing import Preprocess
from federated.statistics import FeatureStatistics, finish, means
from federated.tally import Tally
from federated.weights import buffer_names, digest_json
from tasks.engine.late import Late
from tasks.engine.sites import Board, RemoteSite, sends_of
from tasks.exchange import keys
from tasks.exchange.audit import Audit, Event, opened
from tasks.exchange.conversation import AbsentError, Common, Conversation
from tasks.exchange.envelope import new_nonce
from tasks.exchange.fields import COORDINATOR
from tasks.exchange.hello import Hello, floats, hexes, statistics_body
from tasks.exchange.mailbox import Mailbox
from tasks.exchange.note import Note, seal_note
from tasks.exchange.refusal import RefusalError
from tasks.exchange.roster import Roster, read_roster, taking_part
from tasks.exchange.sessions import TROUBLE, Report, Sessions
from tasks.exchange.site import located
from tasks.exchange.store import ExchangeError, Store
from tasks.files import write_atomic
from tasks.groups import left_out_notes
from tasks.job import Job
from tasks.production import require_safe_prefect
from tasks.telling import tell
from tasks.workspace import workspace

T = TypeVar("T")
_log = logging.getLogger("wardround.federation")
AUDIT = "audit"
_PATIENCE = 600.0  # seconds for which the coordinator tries to reach the Prefect server


@contextmanager
def deployed(config: Config, project: Path, me: UUID) -> Iterator[Job]:
    """The job, once its hospitals have joined; they are let go at the end. me: this flow run.

    Raises ConfigError for keys or a roster that are missing, WardroundError without a quorum.
    """
    require_safe_prefect()
    settings = config.federation
    whole, private = read_roster(project / settings.roster), keys.load(project / settings.key)
    roster = taking_part(whole, config.data.leave_out)
    for said in left_out_notes(config.data.leave_out, (), config.data.min_rows):
        tell(said)
    if not roster.hospitals:
        raise ConfigError(f"{settings.roster}: no hospital; `wardround roster add` enters one")
    note = project / "mlruns" / "deployments" / f"{_identity(config, roster)[:12]}.json"
    run, former = _known(note)
    location = located(project, settings.exchange)
    Store(location, COORDINATOR).prepare()
    plans = {h: _plan(config, run, h, private, me) for h in sorted(roster.hospitals)}
    with (
        opened(project / AUDIT, private) as audit,
        Sessions(
            Mailbox(me, _PATIENCE), run, plans, former, _remembered(note, run), _recorded(audit)
        ) as sessions,
    ):
        common = Common(run, private, location, sessions)
        talks = {h: Conversation(h, roster.hospitals[h], common) for h in plans}
        try:
            job = _joined(config, project, talks)
            yield job
        except BaseException:
            _let_go(talks, "failed")
            raise
        _let_go(talks, "finished")
        for board in {site.board for site in job.sites.values() if isinstance(site, RemoteSite)}:
            board.clear()
        note.unlink(missing_ok=True)


def _identity(config: Config, roster: Roster) -> str:
    """What a job is found by again, before its hospitals have said anything."""
    members = {h: one.key.text for h, one in roster.hospitals.items()}
    return digest_json([config.model_dump(mode="json"), members, version("wardround")])


def _plan(config: Config, run: str, hospital: str, private: keys.PrivateKey, me: UUID) -> bytes:
    """What its session is asked to do, signed, so that nobody else can send a hospital one."""
    body = {"config": json.dumps(config.model_dump(mode="json")), "coordinator": str(me)}
    return seal_note(Note("plan", run, hospital, 0, new_nonce(), body=body), private)


def _known(note: Path) -> tuple[str, dict[str, str]]:
    """The job's name, and its sessions if it was begun before and not finished."""
    if not note.exists():
        return f"w-{new_nonce()}", {}
    values = json.loads(note.read_text())
    return values["run"], values["sessions"]


def _remembered(note: Path, run: str) -> Callable[[dict[str, str]], None]:
    """Writes a job's sessions down as soon as there is a new one: after a kill the next
    coordinator takes them up, and none is left waiting for this one."""

    def remember(sessions: dict[str, str]) -> None:
        note.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(note, json.dumps({"run": run, "sessions": sessions}).encode())

    return remember


def _joined(config: Config, project: Path, talks: dict[str, Conversation]) -> Job:
    """Ask all hospitals to join, agree on statistics with those who do, and build the network."""
    hellos = _together(talks, config, lambda talk, until: talk.join(until))
    talks = {h: talks[h] for h in hellos}
    first = next(iter(hellos.values()))
    for hospital, one in hellos.items():
        if one.schema != first.schema:
            raise DataError(
                f"hospital {hospital!r} has another schema than {next(iter(hellos))!r}: compare "
                "their schema.json"
            )
    statistics, tally, hellos = _statistics(config, talks, hellos)
    talks = {h: talks[h] for h in hellos}
    encoding = agreed(
        first.schema, config.data.scaling, config.data.missing_indicators, tally, statistics
    )
    for talk in talks.values():
        talk.welcome(talk.note("statistics", **statistics_body(statistics, tally)))
    outputs = objective_of(first.schema).outputs
    network = build(config.architecture, encoding.shape, outputs, config.run.seed, encoding.codes)
    rules, settings = config.algorithm.rules, config.federation
    store = Store(next(iter(talks.values())).common.location, COORDINATOR)
    board, sends = Board(store.put, store.drop), sends_of(rules, network)
    sites = {
        h: RemoteSite(
            talk,
            rules,
            board,
            sends,
            settings.deadline_s,
            settings.norm_bound,
            Late(settings.late),
            buffer_names(network),
        )
        for h, talk in talks.items()
    }
    return Job(
        config=config,
        place=workspace(project, config),
        schema=first.schema,
        coverage={h: with_notes(one.coverage, encoding) for h, one in hellos.items()},
        data={h: one.md5 for h, one in hellos.items()},
        preprocess=Preprocess(encoding),
        network=network,
        sites=sites,
    )


def _statistics(
    config: Config, talks: Mapping[str, Conversation], hellos: dict[str, Hello]
) -> tuple[FeatureStatistics, Tally | None, dict[str, Hello]]:
    """Both exchanges of `federated.encoding`, by messages; and those who took part in both."""
    whole = merged([one.summary for one in hellos.values()])
    mean = means(whole.sums)
    size = len(mean)
    if not any(whole.sums.count):
        return finish(whole.sums, [(0.0,) * size]), whole.tally, hellos

    def squares(talk: Conversation, until: float) -> tuple[float, ...]:
        asked = talk.note("mean", mean=hexes(mean))
        note = talk.ask(
            0,
            until - time.monotonic(),
            lambda: talk.tell(asked),
            lambda sent: talk.read_note("squares", 0, sent, {asked.nonce}),
        )
        try:
            return floats(note.body.get("squares"), size)
        except RefusalError as error:
            raise AbsentError(talk.hospital, 0, f"{error.check}: {error.why}") from error

    found = _together(talks, config, squares)
    if found.keys() != talks.keys():  # the sums of one that has left must not count
        left = {h: one for h, one in hellos.items() if h in found}
        return _statistics(config, {h: talks[h] for h in left}, left)
    return finish(whole.sums, list(found.values())), whole.tally, hellos


def _together(
    talks: Mapping[str, Conversation], config: Config, ask: Callable[[Conversation, float], T]
) -> dict[str, T]:
    """hospital → its answer, of all that answer in time; they are asked at the same time."""
    until = time.monotonic() + config.federation.join_s
    absent: dict[str, str] = {}

    def one(talk: Conversation) -> T | None:
        try:
            return ask(talk, until)
        except AbsentError as error:
            absent[talk.hospital] = error.why
            return None

    with ThreadPoolExecutor(len(talks)) as threads:
        answers = list(threads.map(one, talks.values()))
    found = {h: a for h, a in zip(talks, answers, strict=True) if a is not None}
    if len(found) < (config.federation.quorum or len(talks)):
        reasons = "; ".join(f"{hospital}: {why}" for hospital, why in sorted(absent.items()))
        raise WardroundError(
            f"{len(found)} of {len(talks)} hospitals joined ({reasons}); is `wardround site join` "
            "running there? The same command tries again"
        )
    return found


def _let_go(talks: Mapping[str, Conversation], how: str) -> None:
    """Tell all sessions that the job is over; one that cannot be reached notices by itself."""
    for hospital, talk in talks.items():
        try:
            talk.tell(talk.note("done", how=how))
        except (ExchangeError, KeyError) as error:
            _log.warning("hospital %s was not told that the job has %s: %s", hospital, how, error)


def _recorded(audit: Audit) -> Report:
    """Writes down what happens: in the audit log, and, if it is no good news, in Prefect's."""
    lock = threading.Lock()  # hospitals' threads

    def report(what: str, hospital: str, number: int, **details: str | int) -> None:
        with lock:
            audit.append(Event(what, hospital, number, details))
        if what in TROUBLE:
            _log.warning("%s: hospital %s, round %d: %s", what, hospital, number, details)

    return report
