"""Ending a command by a signal: the first one lets it put things in order, the second does not."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(SystemExit):
    """A signal asks this command to end; its exit code is 128 + the signal's number, as a shell's
    own."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.name = signal.Signals(number).name


@contextmanager
def stoppable() -> Iterator[None]:
    """In the block Ctrl-C, SIGTERM and a terminal that closes raise Stopped in the main thread.

    A signal that is ignored (nohup) stays ignored. Once one has come, the next ends the process.
    """
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, _stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is _stop:
                signal.signal(number, handler)


def no_more_patience() -> None:
    """From now on a signal ends this process at once: one has come before.

    In a thread nothing is changed: signals are for the main thread alone.
    """
    with suppress(ValueError):
        for number in _SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, signal.SIG_DFL)


def _stop(number: int, _: FrameType | None) -> None:
    no_more_patience()
    raise Stopped(number)
