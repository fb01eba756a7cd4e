"""What goes between this process and its workers: JSON on a pipe, bytes in a shared file.

Weights are safetensors, counts packed as in the journal. Nothing is pickled.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate, pairwise
from typing import Any

from federated.errors import UpdateError, WardroundError
from federated.shares import Share, Sums
from federated.types import Order, Receipt, Update, Weights
from federated.weights import ExactSum, from_bytes, to_bytes
from tasks.engine import Evaluation
from tasks.engine.shared_file import SharedFile
from tasks.packed_counts import Packed, pack, unpack

_MARK = "/"
"""Parts a hospital's name from a tensor's; no hospital has it in its name."""


@dataclass(frozen=True)
class Message:
    """head: JSON. parts: bytes that go with it."""

    head: dict[str, Any]
    parts: Sequence[bytes] = ()


def send(pipe: int, shared: SharedFile, message: Message) -> None:
    """Write the parts into the shared file, and a line with the rest into the pipe."""
    line = json.dumps(message.head | {"sizes": put(shared, message.parts)}) + "\n"
    data = line.encode()
    while data:
        data = data[os.write(pipe, data) :]


def receive(line: str, shared: SharedFile) -> Message:
    """The message of a line."""
    head = json.loads(line)
    return Message(head, take(shared, head.pop("sizes")))


def put(shared: SharedFile, parts: Sequence[bytes]) -> list[int]:
    """Write parts; their sizes."""
    shared.write(parts)
    return [len(part) for part in parts]


def take(shared: SharedFile, sizes: Sequence[int]) -> list[bytes]:
    """Copies of the parts of these sizes."""
    ends = list(accumulate(sizes, initial=0))
    data = shared.read(ends[-1])
    return [data[start:end] for start, end in pairwise(ends)]


def order_parts(order: Order) -> list[bytes]:
    """Weights and what the server rule broadcasts."""
    return [to_bytes(order.weights), to_bytes(order.extra)]


def order_of(head: Mapping[str, Any], parts: Sequence[bytes]) -> Order:
    """The order with these parts. head: round and rate."""
    weights, extra = map(from_bytes, parts)
    return Order(head["round"], weights, extra, head["rate"])


def states_to(states: Mapping[str, Weights]) -> bytes:
    """The states of several hospitals."""
    named = {f"{h}{_MARK}{name}": t for h, own in states.items() for name, t in own.items()}
    return to_bytes(named)


def states_from(data: bytes, hospitals: Sequence[str]) -> dict[str, Weights]:
    """hospital → its state."""
    states: dict[str, Weights] = {hospital: {} for hospital in hospitals}
    for path, tensor in from_bytes(data).items():
        hospital, _, name = path.partition(_MARK)
        states[hospital][name] = tensor
    return states


def share_to(share: Share) -> Message:
    """A share as a message."""
    sums = share.sums
    head: dict[str, Any] = {
        "receipts": [asdict(receipt) for receipt in share.receipts],
        "coefficients": [one.coefficient for one in sums] if sums else None,
    }
    tensors = [one.total for one in sums] if sums else []
    tensors += [t for u in share.updates for t in (u.delta, u.tensors, u.buffers)]
    return Message(head, [states_to(share.states), *map(to_bytes, tensors)])


def share_from(message: Message) -> Share:
    """The share of a message."""
    receipts = tuple(Receipt(**values) for values in message.head["receipts"])
    states = states_from(message.parts[0], [r.hospital for r in receipts])
    tensors = [from_bytes(part) for part in message.parts[1:]]
    if message.head["coefficients"] is not None:
        sums = Sums(*map(ExactSum, tensors, message.head["coefficients"]))
        return Share(receipts, sums, (), states)
    parts = zip(receipts, tensors[::3], tensors[1::3], tensors[2::3], strict=True)
    updates = (
        Update(delta=delta, tensors=more, buffers=buffers, **asdict(receipt))
        for receipt, delta, more, buffers in parts
    )
    return Share(receipts, None, tuple(updates), states)


def evaluations_to(found: Sequence[Evaluation]) -> Message:
    """The evaluations of some groups as a message."""
    both = [packed for one in found for packed in (one.test, one.validation)]
    sums = [b"" if packed.sum is None else pack({"": packed.sum}).data for packed in both]
    return Message({}, [*(packed.data for packed in both), *sums])


def evaluations_from(message: Message) -> list[Evaluation]:
    """The evaluations of a message."""
    half = len(message.parts) // 2
    sums = [unpack(data).get("") for data in message.parts[half:]]
    both = [Packed(data, found) for data, found in zip(message.parts[:half], sums, strict=True)]
    return [Evaluation(*pair) for pair in zip(both[::2], both[1::2], strict=True)]


def fault_to(error: WardroundError | OverflowError) -> Message:
    """A fault of updates or settings as a message."""
    where = [error.hospital, error.round, error.why] if isinstance(error, UpdateError) else []
    return Message({"fault": type(error).__name__, "where": where, "why": str(error)})


def raise_fault(head: Mapping[str, Any]) -> None:
    """Raise what `fault_to` told of, if the message does."""
    match head.get("fault"):
        case None:
            return
        case "UpdateError":
            raise UpdateError(*head["where"])
        case "OverflowError":
            raise OverflowError(head["why"])
        case _:
            raise WardroundError(head["why"])
