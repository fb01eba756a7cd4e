"""A hospital's session without a network: every parcel and payload that it makes is looked into."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
import yaml

from federated.config import Config, load, parse
from federated.errors import DataError
from federated.initial import weights_of
from federated.site import LocalSite
from federated.statistics import finish, means
from federated.types import Order
from flows.hospital_session import overtaken
from tasks.exchange import keys
from tasks.exchange.admission import Accepted
from tasks.exchange.envelope import EVALUATE, LOSS, new_nonce
from tasks.exchange.hello import Hello, floats, hello_in, hexes, statistics_body
from tasks.exchange.mailbox import Parcel, parcel
from tasks.exchange.messages import of_order
from tasks.exchange.note import Note, open_note, seal_note
from tasks.exchange.refusal import RefusalError
from tasks.exchange.session import Placed, Session, asked
from tasks.made_from import MADE_FROM
from tasks.workspace import ensure_data, workspace
from tests.conftest import ROOT
from tests.flows.federation import ANY
from tests.flows.patients import SCHEMA, TABLE, Patients, made_up, write
from tests.flows.traces import forms, leaks
from tests.tasks.exchange.traffic import COORDINATOR, SOUTH

RUN, ME = "run-7", UUID(int=7)
SOURCE = {"path": TABLE, "target": "ill", "hospital": "site", "drop": ["note"], "schema": SCHEMA}


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> tuple[Config, Path]:
    """Settings, and the hospitals' folders."""
    from tasks.job import load_job

    project = tmp_path_factory.mktemp("project")
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    values["data"] |= {"dataset": "table", "source": SOURCE, "min_rows": 10}
    values["data"]["hospitals"] = ["north", "south", "west"]
    values["algorithm"]["name"] = "scaffold"
    (project / "params.yaml").write_text(yaml.safe_dump(values))
    write(made_up(), project)
    found = load(project / "params.yaml")
    load_job(found, project)
    return found, project / "data" / "hospitals"


@pytest.fixture
def site(config: tuple[Config, Path], tmp_path: Path) -> Path:
    """North's own folder."""
    shutil.copytree(config[1] / "north", tmp_path / "data" / "north")
    keys.create(tmp_path / "keys" / "north")
    values = {
        "name": "north",
        "data": "data/north",
        "coordinator": COORDINATOR.public.text,
        "exchange": "exchange",
        "key": "keys/north",
        "audit": "audit",
        "policy": ANY,
    }
    (tmp_path / "site.yaml").write_text(yaml.safe_dump(values))
    (tmp_path / "exchange").mkdir()
    return tmp_path


def plan(config: Config, private: keys.PrivateKey = COORDINATOR, kind: str = "plan") -> bytes:
    body = {"config": json.dumps(config.model_dump(mode="json")), "coordinator": str(ME)}
    return seal_note(Note(kind, RUN, "north", 0, new_nonce(), body=body), private)


def told(kind: str, **body: object) -> Parcel:
    return parcel(
        "note", seal_note(Note(kind, RUN, "north", 0, new_nonce(), body=body), COORDINATOR)
    )


def begun(site: Path, config: Config) -> Session:
    return Session.begin(site, *asked(site, RUN, plan(config)))


def said(session: Session, sent: Parcel) -> Note:
    return open_note(sent.bytes, session.voice.private.public, RUN, "north")


def placed(session: Session) -> tuple[Placed, list[Parcel]]:
    """The session once statistics are agreed on (with itself), and what it said until then."""
    hello = session.hello()
    heard: Hello = hello_in(said(session, hello).body, "north")
    sums = heard.summary.sums
    mean = told("mean", mean=hexes(means(sums)))
    squares = session.squares(session.voice.opened(mean))
    size = len(sums.count)
    agreed = finish(sums, [floats(said(session, squares).body["squares"], size)])
    statistics = told("statistics", **statistics_body(agreed, heard.summary.tally))
    return session.placed(session.voice.opened(statistics)), [hello, squares]


def ordered(
    placed: Placed,
    number: int,
    kind: str,
    kept: int = 0,
    private: keys.PrivateKey = COORDINATOR,
) -> Parcel:
    order = Order(number, weights_of(placed.local.network))
    given = {"north": new_nonce()}
    orders = of_order(order, RUN, given, private, kind=kind, kept={"north": kept})
    return parcel("envelope", orders.sealed["north"], placed.session.orders.put(orders.payload))


def followed(placed: Placed, sent: Parcel) -> Parcel:
    found = placed.read(sent)
    assert isinstance(found, Accepted)
    return placed.follow(found, LocalSite.train)


def test_nothing_of_a_patient_is_in_any_parcel_or_payload(
    site: Path, config: tuple[Config, Path]
) -> None:
    session = begun(site, config[0])
    ready, parcels = placed(session)
    parcels += [
        followed(ready, ordered(ready, 0, EVALUATE)),
        followed(ready, ordered(ready, 1, "order")),
        followed(ready, ordered(ready, 1, EVALUATE, kept=1)),
        followed(ready, ordered(ready, 1, LOSS, kept=1)),
    ]
    numbers = {n: v for n, v in made_up().numbers().items() if n.endswith("north")}
    inputs = {
        f"input {i} of row {row}": float(value)
        for row, values in enumerate(ready.local.data.train.features)
        for i, value in enumerate(values[:2])
    }
    wanted = {n: forms(v) | {v.hex().encode()} for n, v in {**numbers, **inputs}.items()}
    assert len(wanted) > 40

    def left() -> Iterator[tuple[str, bytes]]:
        for number, one in enumerate(parcels):
            yield f"parcel {number}", one.bytes
            yield f"parcel {number}, as sent", one.model_dump_json().encode()
        for path in (p for p in (site / "exchange").rglob("*") if p.is_file()):
            yield path.name, path.read_bytes()

    assert leaks(left(), wanted) == []
    rows = (site / "data" / "north" / "records.safetensors").read_bytes()
    assert len(leaks(iter([("records", rows)]), wanted)) >= 5  # the search finds what is there


def test_a_state_is_of_the_round_that_the_order_names(
    site: Path, config: tuple[Config, Path]
) -> None:
    """A round that is asked again is computed again, to the same bytes."""
    ready, _ = placed(begun(site, config[0]))
    payloads = [
        followed(ready, ordered(ready, number, "order", kept)).payload
        for number, kept in ((1, 0), (2, 1), (2, 1), (2, 0))
    ]
    assert payloads[1] == payloads[2]
    assert payloads[2] != payloads[3]  # without round 1's control variate


def test_orders_that_were_overtaken_are_not_followed(
    site: Path, config: tuple[Config, Path]
) -> None:
    ready, _ = placed(begun(site, config[0]))
    came = [ordered(ready, 1, "order"), told("done"), ordered(ready, 2, "order")]
    stranger = ordered(ready, 3, "order", private=SOUTH)
    rounds = [ready.session.voice.order_round(one) for one in [*came, stranger]]
    assert rounds == [1, None, 2, None]
    assert [overtaken(rounds, place) for place in range(4)] == [True, False, False, False]
    assert not overtaken([3, 2], 0)  # an old one that comes again


def test_another_coordinator_is_not_followed(site: Path, config: tuple[Config, Path]) -> None:
    with pytest.raises(RefusalError, match="signature"):
        asked(site, RUN, plan(config[0], SOUTH))
    with pytest.raises(RefusalError, match="not a plan"):
        asked(site, RUN, plan(config[0], kind="done"))
    with pytest.raises(RefusalError, match="run"):
        asked(site, "run-8", plan(config[0]))


def test_a_new_plan_for_the_same_job_may_name_another_flow_run_and_nothing_else(
    site: Path, config: tuple[Config, Path]
) -> None:
    session = begun(site, config[0])
    changed = config[0].model_dump(mode="json")
    body = {"config": json.dumps(changed), "coordinator": str(UUID(int=8))}
    note = Note("plan", RUN, "north", 0, new_nonce(), body=body)
    assert session.under(note).voice.coordinator == UUID(int=8)
    changed["run"]["rounds"] += 1
    with pytest.raises(RefusalError, match="another plan"):
        session.under(replace(note, body=body | {"config": json.dumps(changed)}))


def test_rows_that_were_cut_otherwise_than_the_job_says_are_refused(
    site: Path, config: tuple[Config, Path]
) -> None:
    """Every key but what the hospital reads: MLflow shows the job's."""
    for key, other in (("seed", 7), ("test_fraction", 0.5), ("validation_fraction", 0.2)):
        job = job_with(config[0], key, other)
        with pytest.raises(DataError, match=rf"another data\.{key} than the job says"):
            begun(site, job)
    for key, other in (("min_rows", 11), ("hospitals", ["north"]), ("scaling", "off")):
        assert begun(site, job_with(config[0], key, other)).rows
    (site / "data" / "north" / MADE_FROM).unlink()
    with pytest.raises(DataError, match="nothing says how its rows were cut"):
        begun(site, config[0])


def test_a_sites_own_project_gives_what_its_files_hold_now(
    site: Path, config: tuple[Config, Path], capfd: pytest.CaptureFixture[str]
) -> None:
    (site / TABLE).parent.mkdir(parents=True)
    for name in ("params.yaml", TABLE, SCHEMA):
        shutil.copy(config[1].parents[1] / name, site / name)
    values = yaml.safe_load((site / "site.yaml").read_text()) | {"data": "data/hospitals/north"}
    (site / "site.yaml").write_text(yaml.safe_dump(values))
    first = begun(site, config[0])  # nothing was made yet
    assert first.digest == begun(site, config[0]).digest
    lines = (site / TABLE).read_text().splitlines()
    (site / TABLE).write_text("\n".join([*lines[:5], *lines[6:]]) + "\n")
    assert begun(site, config[0]).digest != first.digest
    assert f"note: data/hospitals: {TABLE} changed; made again" in capfd.readouterr().err
    (site / TABLE).write_text("site,ill\nnorth,4711\n")
    with pytest.raises(DataError, match="could not be made from the hospital's own files") as told:
        begun(site, config[0])
    assert TABLE in capfd.readouterr().err
    assert told.value.__cause__ is None
    assert TABLE not in str(told.value)


def job_with(config: Config, key: str, value: object) -> Config:
    """The job's settings with another value of a key of `data`."""
    values = config.model_dump(mode="json")
    return parse({**values, "data": {**values["data"], key: value}})


def test_patients_are_counted_and_their_ids_stay(site: Path, config: tuple[Config, Path]) -> None:
    """A file in which every patient has two rows, and the newest patients test."""
    project = site / "own"
    frame = made_up().frame
    frame["note"] = frame["note"].where(frame.index % 2 == 0, frame["note"].shift())
    frame["seen"] = frame.index // 2
    source = SOURCE | {"drop": [], "patient": "note", "split": {"by": "seen", "format": "number"}}
    values = config[0].model_dump(mode="json")
    values["data"] |= {"source": source, "hospitals": ["north"]}
    write(Patients(frame[frame["site"] == "north"]), project)
    (project / "params.yaml").write_text(yaml.safe_dump(values))
    found = load(project / "params.yaml")
    ensure_data(workspace(project, found), found)
    shutil.rmtree(site / "data" / "north")
    shutil.copytree(project / "data" / "hospitals" / "north", site / "data" / "north")
    session = begun(site, config[0])
    kept = session.raw.coverage.kept
    assert session.raw.coverage.patients is not None
    assert kept / 2 <= session.raw.coverage.patients < kept * 0.6
    assert session.rows < int(session.raw.train.sum()) < 2 * session.rows + 1
    hello = hello_in(said(session, session.hello()).body, "north")
    assert hello.coverage.patients == session.raw.coverage.patients
    sent = session.hello().model_dump_json().encode() + session.hello().bytes
    assert not any(str(note).encode() in sent for note in frame["note"])
