"""A worker process: `python -m tasks.engine.worker`, begun by `tasks.engine.workers`.

It has one thread, sees the rows of all hospitals in shared memory, and answers one message at a
time until its pipe ends, as it does when the process that began it ends in any way.
"""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from federated.algorithm import Algorithm
from federated.config import parse
from federated.errors import WardroundError
from federated.evaluation import evaluate_group
from federated.initial import build
from federated.objectives import objective_of
from federated.schema import parse_schema
from federated.shares import train_share
from federated.site import LocalSite
from federated.statistics import TargetScale
from federated.weights import from_bytes
from tasks.engine import packed, wire
from tasks.engine.arena import Arena
from tasks.engine.shared_file import SharedFile
from tasks.engine.wire import Message


def main(arguments: Sequence[str]) -> None:
    """Answer until the pipe ends. Standard output is the pipe; prints go to standard error.

    arguments: descriptors of the shared files, and the length of what the last one holds.
    """
    torch.set_num_threads(1)
    *descriptors, length = map(int, arguments)
    inbox, outbox, board, rows, first = map(SharedFile, descriptors)
    answers = os.dup(1)
    os.dup2(2, 1)
    worker = Worker.begin(json.loads(first.read(length)), rows)
    for line in iter(sys.stdin.readline, ""):
        asked = wire.receive(line, inbox)
        try:
            answer = worker.answer(asked, wire.take(board, asked.head["board"]))
        except (WardroundError, OverflowError) as error:  # raised where it was asked
            answer = wire.fault_to(error)
        wire.send(answers, outbox, answer)


@dataclass(frozen=True)
class Worker:
    """Every hospital's site, over shared rows."""

    algorithm: Algorithm
    sites: Mapping[str, LocalSite]

    @classmethod
    def begin(cls, given: Mapping[str, Any], file: SharedFile) -> "Worker":
        """From the first message: configuration, schema, and where the rows lie."""
        config = parse(given["config"])
        schema = parse_schema(given["schema"], "schema")
        objective = objective_of(schema, TargetScale(*given["target"]))
        network = build(
            config.architecture,
            tuple(given["inputs"]),
            objective.outputs,
            config.run.seed,
            given["codes"],
        )
        rows = Arena(file, given["length"], given["layout"])
        sites = {
            hospital: LocalSite(
                data=rows.hospital(hospital),
                network=network,
                algorithm=config.algorithm.rules,
                seed=config.run.seed,
                objective=objective,
                resolution=config.evaluation,
            )
            for hospital in rows.layout
        }
        return cls(config.algorithm.rules, sites)

    def answer(self, asked: Message, board: list[bytes]) -> Message:
        """Train or evaluate the hospitals named."""
        hospitals: list[list[str]] = asked.head["hospitals"]
        states = wire.states_from(asked.parts[0], [h for group in hospitals for h in group])
        if asked.head["verb"] == "train":
            sites = [self.sites[h] for group in hospitals for h in group]
            order = wire.order_of(asked.head, board)
            return wire.share_to(train_share(self.algorithm, sites, order, states))
        weights, number = from_bytes(board[0]), asked.head["round"]
        groups = ([self.sites[h] for h in group] for group in hospitals)
        found = [packed(evaluate_group(group, number, weights, states)) for group in groups]
        return wire.evaluations_to(found)


if __name__ == "__main__":
    main(sys.argv[1:])
