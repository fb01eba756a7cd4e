"""Faults that befall a federation of real processes: each begins, and is mended at the end."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.flows.federation import Federation, until
from tests.servers import Server

DAY = 24 * 3600
_AWAY = 2.0  # seconds
_CLOCK = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

static long shift(void) { const char *s = getenv("CLOCK_SHIFT"); return s ? atol(s) : 0; }

int clock_gettime(clockid_t which, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int found = real(which, now);
    if (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE) now->tv_sec += shift();
    return found;
}

int gettimeofday(struct timeval *now, void *zone) {
    struct timespec found;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &found);
    now->tv_sec = found.tv_sec;
    now->tv_usec = found.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *now) {
    struct timespec found;
    clock_gettime(CLOCK_REALTIME, &found);
    if (now) *now = found.tv_sec;
    return found.tv_sec;
}
"""


def clock(folder: Path, seconds: int) -> dict[str, str]:
    """The environment of a process whose clock is wrong by so much. Raises FileNotFoundError
    without a C compiler."""
    source, library = folder / "clock.c", folder / "clock.so"
    source.write_text(_CLOCK)
    command = ["cc", "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"]
    subprocess.run(command, check=True)
    return {"LD_PRELOAD": str(library), "CLOCK_SHIFT": str(seconds)}


@dataclass(frozen=True)
class Struck:
    """Whom a fault befalls. newest: the last round in which every hospital's update was taken.
    copied: rounds that MLflow has."""

    ours: Federation
    prefect: Server
    mlflow: Server
    newest: Callable[[], int]
    copied: Callable[[], list[int]]


@contextmanager
def prefect_restarted(struck: Struck) -> Iterator[None]:
    """The Prefect server dies in the middle of a round."""
    struck.prefect.kill()
    time.sleep(_AWAY)
    yield
    struck.prefect.start()


@contextmanager
def mlflow_down(struck: Struck) -> Iterator[None]:
    """The MLflow server is away for three rounds of a run that it knows."""
    until(lambda: struck.copied() != [], 300)
    before = struck.newest()
    struck.mlflow.kill()
    until(lambda: struck.newest() >= before + 3, 300)
    yield
    struck.mlflow.start()


@contextmanager
def exchange_gone(struck: Struck) -> Iterator[None]:
    """The exchange location is not there for a while."""
    away = struck.ours.exchange.with_name("away")
    struck.ours.exchange.rename(away)
    time.sleep(_AWAY)
    yield
    assert not struck.ours.exchange.exists(), "somebody has made it anew"
    away.rename(struck.ours.exchange)


@contextmanager
def small_disk(place: Path) -> Iterator[None]:
    """A file system of one megabyte. Raises CalledProcessError or FileNotFoundError where none may
    be mounted."""
    place.mkdir()
    given = ["-t", "tmpfs", "-o", "size=1m", "wardround-tests", str(place)]
    subprocess.run(["mount", *given], check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(disk: Path) -> Path:
    """Leave no room on it; the file that takes all."""
    taken = disk / "taken"
    with suppress(OSError), taken.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    return taken


@contextmanager
def site_hangs(struck: Struck) -> Iterator[None]:
    """A hospital's processes stand still for a while, and go on."""
    group = struck.ours.joined["south"].pid
    os.killpg(group, signal.SIGSTOP)
    time.sleep(_AWAY)
    yield
    os.killpg(group, signal.SIGCONT)


@contextmanager
def site_killed(struck: Struck) -> Iterator[None]:
    """A hospital's worker and session die, and come back."""
    struck.ours.kill("west")
    yield
    struck.ours.join("west")


FAULTS: tuple[Callable[[Struck], AbstractContextManager[None]], ...] = (
    exchange_gone,
    site_hangs,
    site_killed,
    prefect_restarted,
    mlflow_down,  # the last, for rounds go on while it comes up
)
