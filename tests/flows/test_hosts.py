"""A federation of hosts: namespaces, users, TLS, a log-in, and cables that can be cut."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.flows.federation import World, alone, table_world, until
from tests.hosts import Host, certificate, hosts
from tests.servers import Server

pytestmark = pytest.mark.slow
HOSPITALS = ("north", "south", "west")
FIRST_USER = 61_000
PREFECT, TLS = 4200, 4443  # ports; each host has its own
LOG_IN = "wardround:a long password"
MODEL = "reports/model.safetensors"
END = 300  # seconds


@dataclass(frozen=True)
class Network:
    """world: hospitals have joined. hosts: by hospital, and the coordinator's."""

    world: World
    hosts: Mapping[str, Host]


@pytest.fixture(scope="module")
def network(migrated_database: Path) -> Iterator[Network]:
    folder = Path(tempfile.mkdtemp(prefix="wardround-hosts-"))
    folder.chmod(0o755)
    with ExitStack() as ends:
        ends.callback(shutil.rmtree, folder)
        try:
            ours = ends.enter_context(hosts(HOSPITALS, FIRST_USER))
        except (FileNotFoundError, subprocess.CalledProcessError):
            pytest.skip("namespaces take root and iproute2")
        if not usable(ours["north"]):
            pytest.skip(f"other users than root cannot run {sys.executable}")
        url = servers(folder, ours, ends)
        world = ends.enter_context(table_world(folder, migrated_database, url))
        arrange(world, ours, folder / "certificate.pem")
        world.ours.join(*HOSPITALS)
        yield Network(world, ours)


def usable(host: Host) -> bool:
    """Can its user run this very Python, and read the project?"""
    program = f"import sys, torch; sys.path.append({str(ROOT)!r}); import tasks; print(sys.version)"
    command = host.command(sys.executable, "-c", program)
    done = subprocess.run(command, capture_output=True, check=False, text=True, env={}, cwd="/")
    return done.stdout.strip() == sys.version.strip()


def servers(folder: Path, ours: Mapping[str, Host], ends: ExitStack) -> str:
    """Prefect on loopback of the coordinator's host, with a log-in, and TLS before it; the URL for
    the coordinator itself."""
    center, home = ours["coordinator"], folder / "prefect"
    home.mkdir()
    os.chown(home, center.user, center.user)
    url = f"http://127.0.0.1:{PREFECT}/api"
    start = ("prefect", "server", "start", "--host", "127.0.0.1", "--port", str(PREFECT))
    own = {"PREFECT_HOME": str(home), "PREFECT_SERVER_API_AUTH_STRING": LOG_IN, "HOME": str(home)}
    ends.enter_context(Server(start, f"{url}/health", home, own, center))
    shown, key = certificate(folder, [ours[h].peer for h in HOSPITALS])
    os.chown(key, center.user, center.user)
    key.chmod(0o600)
    proxy = [sys.executable, "-m", "tests.tls_proxy", str(TLS), str(shown), str(key), str(PREFECT)]
    process = subprocess.Popen(center.command(*proxy), cwd=ROOT)
    ends.callback(process.wait)
    ends.callback(process.kill)
    return url


def arrange(world: World, ours: Mapping[str, Host], shown: Path) -> None:
    """Whose is what (docs/deployment.md), and who runs where."""
    center, federation = ours["coordinator"], world.ours
    federation.exchange.mkdir()
    os.chown(federation.exchange, center.user, center.user)
    for hospital, site in federation.sites.items():
        host, box = ours[hospital], federation.exchange / hospital
        box.mkdir()
        os.chown(box, host.user, center.user)
        box.chmod(0o2770)  # what comes in gets the coordinator's group
        hand_over(site, host)
        own = {"HOME": str(site), "PREFECT_API_AUTH_STRING": LOG_IN}
        own["PREFECT_API_URL"] = f"https://{host.peer}:{TLS}/api"
        own["PREFECT_API_SSL_CERT_FILE"] = str(shown)
        federation.hosts[hospital] = host
        federation.own[hospital] = own
    federation.hosts["coordinator"] = center
    federation.own["coordinator"] = {
        "HOME": str(federation.common),
        "PREFECT_API_AUTH_STRING": LOG_IN,
    }


def hand_over(folder: Path, host: Host) -> None:
    """All of it is that user's, and nobody else reads it."""
    for path in (folder, *folder.rglob("*")):
        os.chown(path, host.user, host.user)
    folder.chmod(0o700)


def can(host: Host, program: str, *arguments: str) -> bool:
    """Does a program of Python's standard library end well there?"""
    command = host.command(sys.executable, "-c", program, *arguments)
    return subprocess.run(command, capture_output=True, check=False, env={}).returncode == 0


READ = "import pathlib, sys; pathlib.Path(sys.argv[1]).read_bytes()"
CONNECT = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 3)"
LISTEN = 7


def test_a_hospitals_records_are_readable_by_its_own_user_alone(network: Network) -> None:
    records = network.world.ours.sites["north"] / "data" / "north" / "records.safetensors"
    readers = {name for name, host in network.hosts.items() if can(host, READ, str(records))}
    assert readers == {"north"}


def test_a_hospital_reaches_the_coordinators_tls_and_nothing_else(network: Network) -> None:
    north, south = network.hosts["north"], network.hosts["south"]
    assert can(north, CONNECT, north.peer, str(TLS))
    assert not can(north, CONNECT, north.peer, str(PREFECT))
    assert not can(north, CONNECT, south.peer, str(TLS))
    assert not can(north, CONNECT, "1.1.1.1", "53")
    with south.inside(), socket.create_server((south.address, LISTEN)):
        assert can(south, CONNECT, south.address, str(LISTEN))  # there is something to reach
        assert not can(north, CONNECT, south.address, str(LISTEN))


def test_a_federation_of_hosts_ends_with_the_simulations_bytes_though_a_cable_was_cut(
    network: Network,
) -> None:
    world, center = network.world, network.hosts["coordinator"]
    settings: dict[str, Any] = {
        "run": {"rounds": 12},
        "algorithm": {"name": "power_of_choice"},  # asks for losses, and trains at two of three
    }
    project = world.ours.deployed(world.make("hosts", **settings))
    hand_over(project, center)
    run = world.ours.begin(project)
    until(lambda: world.ours.happened(project, "asked", "west", 3), END)
    network.hosts["west"].cable("down")
    before = len(world.ours.events(project))
    time.sleep(4)
    assert len(world.ours.events(project)) < before + 12  # a round waits for it
    network.hosts["west"].cable("up")
    assert run.wait(timeout=END) == 0, world.ours.log("hosts")
    assert (project / MODEL).read_bytes() == alone(world, "hosts", {}, **settings)
