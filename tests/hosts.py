"""Hosts on one machine: a network namespace and a user for each, joined by one cable each.

A hospital's host has one way out, to the coordinator's; there is no way from hospital to hospital.
"""

import ctypes
import ipaddress
import os
import stat
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_NEWNET = 0x40000000  # CLONE_NEWNET of <sched.h>
_LIBC = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Host:
    """namespace: its name. user: a number. address: its own; peer: the other end of its cable,
    at the coordinator's host (of the coordinator itself both are loopback)."""

    namespace: str
    user: int
    address: str = "127.0.0.1"
    peer: str = "127.0.0.1"

    def command(self, *command: str) -> list[str]:
        """The command, run at this host by its user."""
        user = ["setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--clear-groups"]
        return ["ip", "netns", "exec", self.namespace, *_shown(), *user, *command]

    def cable(self, state: str) -> None:
        """Cut it (`down`), or mend it (`up`)."""
        _ip("-n", self.namespace, "link", "set", "out", state)

    @contextmanager
    def inside(self) -> Iterator[None]:
        """This thread is at the host meanwhile."""
        there_path, here_path = (
            Path("/run/netns") / self.namespace,
            Path("/proc/thread-self/ns/net"),
        )
        with here_path.open() as here, there_path.open() as there:
            _enter(there.fileno())
            try:
                yield
            finally:
                _enter(here.fileno())


def _shown() -> list[str]:
    """Lets other users run this Python where it lies in root's own folder: in the mount namespace
    that `ip netns exec` makes, that folder then holds Python and nothing else."""
    base = Path(sys.base_prefix)
    closed = [p for p in reversed(base.parents) if not p.stat().st_mode & stat.S_IXOTH]
    if not closed:
        return []
    script = (
        'mount --bind "$0" /mnt && mount -t tmpfs -o mode=755 none "$1" && mkdir -p "$0" '
        '&& mount --bind /mnt "$0" && shift && exec "$@"'
    )
    return ["sh", "-c", script, str(base), str(closed[0])]


def _enter(descriptor: int) -> None:
    if _LIBC.setns(descriptor, _NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


@contextmanager
def hosts(names: Sequence[str], first_user: int) -> Iterator[dict[str, Host]]:
    """The coordinator's, and one for each name. Raises CalledProcessError where this is not
    allowed (it takes root), FileNotFoundError without iproute2."""
    tag = f"wr{os.getpid()}"
    center = Host(f"{tag}-c", first_user)
    made = {"coordinator": center}
    try:
        _ip("netns", "add", center.namespace)
        _ip("-n", center.namespace, "link", "set", "lo", "up")
        for number, name in enumerate(names, start=1):
            peer, address = f"10.213.{number}.1", f"10.213.{number}.2"
            made[name] = host = Host(f"{tag}-{number}", first_user + number, address, peer)
            _ip("netns", "add", host.namespace)
            ends = ["link", "add", "out", "type", "veth", "peer", "name", f"to{number}"]
            _ip("-n", host.namespace, *ends, "netns", center.namespace)
            _ip("-n", host.namespace, "addr", "add", f"{address}/30", "dev", "out")
            _ip("-n", center.namespace, "addr", "add", f"{peer}/30", "dev", f"to{number}")
            _ip("-n", center.namespace, "link", "set", f"to{number}", "up")
            for link in ("lo", "out"):
                _ip("-n", host.namespace, "link", "set", link, "up")
        yield made
    finally:
        for host in made.values():
            subprocess.run(["ip", "netns", "del", host.namespace], capture_output=True, check=False)


def certificate(folder: Path, addresses: Sequence[str]) -> tuple[Path, Path]:
    """A certificate of its own authority for these addresses, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "coordinator")])
    now = datetime.now(UTC)
    known = x509.SubjectAlternativeName(
        [x509.IPAddress(ipaddress.ip_address(a)) for a in addresses]
    )
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(known, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return paths
