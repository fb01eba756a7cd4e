"""Hospitals are trained and evaluated in persistent processes of one thread each.

Rows are loaded into shared memory once. A round's weights are written once for all workers, a
share's sums come back: what goes to and fro grows with workers, not with hospitals.
"""

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from federated.config import Config
from federated.encoding import Encoding
from federated.errors import WardroundError
from federated.evaluation import groups
from federated.shares import Share
from federated.site import LocalSite
from federated.types import Order, Weights
from federated.weights import to_bytes
from tasks.engine import FEW, Evaluation, joined, wire
from tasks.engine.arena import Arena
from tasks.engine.deal import deal
from tasks.engine.shared_file import SharedFile
from tasks.engine.wire import Message

_SECONDS_TO_END = 5.0


@dataclass(frozen=True)
class Worker:
    """A running process, and the memory that it shares with this one alone."""

    process: subprocess.Popen[str]
    inbox: SharedFile
    outbox: SharedFile

    def ask(self, message: Message) -> Message:
        """Send a message and wait for the answer. Raises what the worker met."""
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):  # the process has ended: so says the missing answer
            wire.send(self.process.stdin.fileno(), self.inbox, message)
        return self.answer()

    def answer(self) -> Message:
        """Wait for an answer."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise WardroundError(
                f"a worker process ended unasked (exit code {self.process.wait()}); out of "
                "memory? Give `--set engine.name=sequential`, or the same command again: it "
                "resumes"
            )
        answer = wire.receive(line, self.outbox)
        wire.raise_fault(answer.head)
        return answer

    def end(self) -> None:
        """Close its pipe, so that it ends; what it still computes nobody waits for."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            self.process.wait(timeout=_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.inbox.close()
        self.outbox.close()


class Workers:
    """The engine over worker processes; `begin` makes one."""

    def __init__(self, sites: Mapping[str, LocalSite], rows: Arena, lanes: int) -> None:
        self.lanes, self.apart, self.runner = lanes, FEW, None
        self._rows = rows
        parts = groups(list(sites.values()))
        self._groups = [[site.hospital for site in group] for group in parts]
        sizes = [sum(len(site.data.test) for site in group) for group in parts]
        self._dealt = deal(range(len(parts)), sizes, lanes)
        self._board, self._first = SharedFile.create(), SharedFile.create()
        self._written: tuple[object, list[int]] = (None, [])
        self._idle: queue.Queue[Worker] = queue.Queue()
        self._workers: list[Worker] = []
        self._lock = threading.Lock()

    @classmethod
    def begin(
        cls,
        config: Config,
        encoding: Encoding,
        sites: Mapping[str, LocalSite],
        rows: Arena,
        lanes: int,
    ) -> Self:
        """Start the processes; they are ready when the first round asks them."""
        made = cls(sites, rows, lanes)
        first = {
            "config": config.model_dump(mode="json"),
            "schema": encoding.schema.model_dump_json(),
            "inputs": encoding.shape,
            "codes": encoding.codes,
            "target": [encoding.target.center, encoding.target.scale],
            "length": rows.length,
            "layout": rows.layout,
        }
        length = made._first.write([json.dumps(first).encode()])
        shared = (made._board, rows.file, made._first)
        made._workers = [_start(shared, length) for _ in range(lanes)]
        for worker in made._workers:
            made._idle.put(worker)
        return made

    def train(self, cohort: Sequence[str], order: Order, states: Mapping[str, Weights]) -> Share:
        """See `tasks.engine.Engine`."""
        sizes = self._broadcast(order, lambda: wire.order_parts(order))
        head = {"verb": "train", "hospitals": [cohort], "round": order.round, "rate": order.rate}
        mine = {h: states[h] for h in cohort if h in states}
        with self._worker() as worker:
            asked = Message(head | {"board": sizes}, [wire.states_to(mine)])
            return wire.share_from(worker.ask(asked))

    def evaluate(self, number: int, weights: Weights, states: Mapping[str, Weights]) -> Evaluation:
        """See `tasks.engine.Engine`."""
        sizes = self._broadcast(weights, lambda: [to_bytes(weights)])

        def one(share: list[int]) -> list[Evaluation]:
            asked = [self._groups[i] for i in share]
            mine = {h: states[h] for group in asked for h in group if h in states}
            head = {"verb": "evaluate", "hospitals": asked, "round": number, "board": sizes}
            with self._worker() as worker:
                return wire.evaluations_from(worker.ask(Message(head, [wire.states_to(mine)])))

        with ThreadPoolExecutor(len(self._dealt)) as threads:
            answers = zip(self._dealt, threads.map(one, self._dealt), strict=True)
            found = {i: e for share, own in answers for i, e in zip(share, own, strict=True)}
        return joined([found[i] for i in range(len(self._groups))])

    def close(self) -> None:
        """End the processes and free the memory."""
        for worker in self._workers:
            worker.end()
        for shared in (self._board, self._first, self._rows.file):
            shared.close()

    def _broadcast(self, key: object, parts: Callable[[], list[bytes]]) -> list[int]:
        """Write the parts where all workers read them, unless `key` is there already; their sizes.

        Nobody reads then: a round's order and weights are new only once all of the last answered.
        """
        with self._lock:
            if self._written[0] is not key:
                self._written = (key, wire.put(self._board, parts()))
            return self._written[1]

    @contextmanager
    def _worker(self) -> Iterator[Worker]:
        worker = self._idle.get()
        try:
            yield worker
        finally:
            self._idle.put(worker)


def _start(common: Sequence[SharedFile], length: int) -> Worker:
    """A process that runs this very code with one thread. length: of what `common` ends with."""
    inbox, outbox = SharedFile.create(), SharedFile.create()
    descriptors = [one.descriptor for one in (inbox, outbox, *common)]
    code = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join([code, *filter(None, [os.environ.get("PYTHONPATH")])])
    process = subprocess.Popen(
        [sys.executable, "-m", "tasks.engine.worker", *map(str, [*descriptors, length])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        pass_fds=descriptors,
        env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        start_new_session=True,  # Ctrl-C is for the process that began it
    )
    return Worker(process, inbox, outbox)
