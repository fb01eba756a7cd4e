"""What it costs that no side trusts the other: an update of 4 MB, sealed and admitted.

    python -m benchmarks.envelope

Median and largest milliseconds. Digest, sign and verify are parts of what stands below them.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
from rich.console import Console
from rich.table import Table

from federated.seeds import generator
from federated.types import Order, Update
from federated.weights import digest, to_bytes
from tasks.exchange.admission import (
    Accepted,
    Admitted,
    Awaited,
    Expected,
    accept_order,
    admit,
)
from tasks.exchange.envelope import new_nonce, seal, unseal
from tasks.exchange.keys import PrivateKey, create
from tasks.exchange.messages import of_order, of_update, order_template, update_template

NUMBERS, REPEATS = 1_000_000, 50
PARTS = ("digest of the payload", "sign the envelope", "verify and read the envelope")


def main() -> None:
    """Measure and print the table."""
    with tempfile.TemporaryDirectory() as folder:
        steps = prepared(create(Path(folder) / "key"))
    table = Table(title=f"{NUMBERS * 4 / 1e6:g} MB, {REPEATS} times", title_justify="left")
    for column in ("what", "median ms", "largest ms"):
        table.add_column(column, justify="left" if column == "what" else "right")
    rows = {name: [milliseconds(step) for _ in range(REPEATS)] for name, step in steps.items()}
    for name, each in rows.items():
        table.add_row(name, f"{median(each):.2f}", f"{max(each):.2f}")
    together = [sum(parts) for parts in zip(*(rows[name] for name in PARTS), strict=True)]
    table.add_row("these three parts", f"{median(together):.2f}", f"{max(together):.2f}")
    Console().print(table)


def prepared(private: PrivateKey) -> dict[str, Callable[[], object]]:
    """Name of a step → the step; each is tried once."""
    drawn = generator("benchmark", "envelope")
    weights = {"w": torch.randn(NUMBERS, generator=drawn)}
    delta = {"w": 0.01 * torch.randn(NUMBERS, generator=drawn)}
    update = Update(hospital="north", round=1, delta=delta, examples=100, steps=10, loss=0.5)
    base, order = digest(to_bytes(weights)), Order(1, weights)
    nonces = {"north": new_nonce()}
    message = of_update(update, "run", base, new_nonce(), private)
    orders = of_order(order, "run", nonces, private)
    envelope = unseal(message.sealed, private.public)
    expected = Expected(
        run="run",
        round=1,
        hospital="north",
        base=base,
        key=private.public,
        template=update_template(delta, {}, {}),
        max_examples=100,
        used=frozenset(),
        norm_bound=100.0,
    )
    awaited = Awaited("run", "north", 0, private.public, order_template(weights, {}))
    steps: dict[str, Callable[[], object]] = {
        PARTS[0]: lambda: digest(message.payload),
        PARTS[1]: lambda: seal(envelope, private),
        PARTS[2]: lambda: unseal(message.sealed, private.public),
        "site: seal an update": lambda: of_update(update, "run", base, new_nonce(), private),
        "coordinator: admit it": lambda: admit(message.sealed, message.payload, expected),
        "coordinator: seal an order": lambda: of_order(order, "run", nonces, private),
        "site: accept it": lambda: accept_order(orders.sealed["north"], orders.payload, awaited),
    }
    found = {name: step() for name, step in steps.items()}
    if not isinstance(found["coordinator: admit it"], Admitted):
        raise TypeError(f"the update was not admitted: {found['coordinator: admit it']}")
    if not isinstance(found["site: accept it"], Accepted):
        raise TypeError(f"the order was not accepted: {found['site: accept it']}")
    return steps


def milliseconds(step: Callable[[], object]) -> float:
    """That it takes."""
    begun = time.perf_counter()
    step()
    return (time.perf_counter() - begun) * 1e3


if __name__ == "__main__":
    main()
