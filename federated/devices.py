"""Where hospitals compute: the CPU, whose bits are the reference, or a CUDA device.

What passes a site's border lies on the CPU: a site moves what it gets to its device, and what comes
out of it back. On CUDA the same machine gives the same bits again (deterministic kernels, no TF32);
they are not the CPU's.
"""

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

import torch

from federated.errors import ConfigError
from federated.site import LocalSite
from federated.types import HospitalData, Split

_THREAD = threading.local()


def resolve(wanted: str) -> torch.device:
    """The device of `run.device`: auto takes CUDA where there is any.

    Raises ConfigError for cuda on a machine, or with a torch, that has none.
    """
    present = torch.cuda.is_available()
    if wanted == "cuda" and not present:
        why = "this torch is built for the CPU alone" if not torch.version.cuda else "no device"
        raise ConfigError(
            f"run.device cuda: no CUDA here ({why}); choose auto or cpu, or install torch for CUDA"
        )
    return torch.device("cuda" if wanted != "cpu" and present else "cpu")


def prepare(device: torch.device) -> None:
    """Let CUDA give the same bits every time. Process-wide; nothing to do on the CPU."""
    if device.type != "cuda":
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # before the first product
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False


def placed(sites: Mapping[str, LocalSite], device: torch.device) -> dict[str, LocalSite]:
    """Sites whose rows lie on `device`, copied there once, and which compute there."""
    return {h: replace(s, data=_copied(s.data, device), device=device) for h, s in sites.items()}


@contextmanager
def lane(device: torch.device) -> Iterator[None]:
    """Within, this thread's work goes into a CUDA stream of its own: beside that of others."""
    if device.type != "cuda":
        yield
        return
    if not hasattr(_THREAD, "stream"):
        _THREAD.stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    with torch.cuda.stream(_THREAD.stream):
        yield


def _copied(data: HospitalData, device: torch.device) -> HospitalData:
    parts = {
        name: Split(split.features.to(device), split.targets.to(device))
        for name, split in (
            ("train", data.train),
            ("test", data.test),
            ("validation", data.validation),
        )
    }
    return HospitalData(data.hospital, **parts)
