"""Each peer's virtual environment under .bench/envs, with the same torch as Wardround's."""

import subprocess
import sys
import venv
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from benchmarks.measure import BENCH

ENVS = BENCH / "envs"
_SHARED = ("torch", "safetensors", "psutil", "numpy")


@dataclass(frozen=True)
class Peer:
    """requirement: what pip installs. module: its adapter. launcher: put before the module, for
    several processes. cases: those it can run (NVFlare starts a client anew for every round when
    they are more than its processes: minutes a round with 100 of them). module None: no release
    that this Python can install, so there is no adapter that was ever tried."""

    title: str
    environment: str
    requirement: str
    module: str | None
    launcher: tuple[str, ...] = ()
    cases: str = "abcd"


_TWO = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2")
PEERS = {
    "flower": Peer("Flower", "flower", "flwr[simulation]==1.42.0", "flower"),
    "pfl": Peer("pfl", "pfl", "pfl==0.6.0", "apple_pfl"),
    "pfl2": Peer("pfl, 2 processes", "pfl", "pfl==0.6.0", "apple_pfl", _TWO),
    "fedlab": Peer("FedLab", "fedlab", "fedlab==1.3.0", "fed_lab"),
    "nvflare": Peer("NVFlare", "nvflare", "nvflare==2.9.0", "nv_flare", cases="ad"),
    "blazefl": Peer("BlazeFL", "blazefl", "blazefl", None),
}


class InstallError(RuntimeError):
    """A peer that cannot be installed here, with pip's own last line."""


def python(peer: Peer) -> Path:
    """The environment's Python; it is made if it is not there. Raises InstallError."""
    folder = ENVS / peer.environment
    done = folder / ".installed"
    program = folder / "bin" / "python"
    if done.is_file() and done.read_text() == peer.requirement:
        return program
    venv.create(folder, with_pip=True, clear=True)
    constraint = ENVS / "constraints.txt"
    constraint.write_text(f"torch=={version('torch').partition('+')[0]}\n")
    install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command = [str(program), *install, "-c", str(constraint), *_SHARED, peer.requirement]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    if found.returncode:
        raise InstallError(found.stderr.strip().splitlines()[-1])
    done.write_text(peer.requirement)
    return program


if __name__ == "__main__":
    for given in sys.argv[1:] or PEERS:
        try:
            print(given, python(PEERS[given]))
        except InstallError as fault:
            print(given, fault)
