"""How many faulty hospitals a robust rule tolerates: f, and the least number of updates for it.

A faulty hospital may send anything: a bug, a wrong unit, a poisoned model. Each rule's proof
needs n ≥ times·f + plus updates; with fewer the rule refuses, since its result would be
whatever the faulty ones want.
"""

from typing import Annotated

from pydantic import Field

from federated.errors import ConfigError

Faulty = Annotated[int, Field(ge=0)] | None
"""Option f: so many faulty hospitals; None is the largest number that the updates allow."""


def tolerated(rule: str, n: int, f: int | None, times: int, plus: int) -> int:
    """The f that `rule` uses for n updates: the given one, or the largest that n allows.

    rule: kind and name, as in `aggregation.krum`. Raises ConfigError if n < times·f + plus.
    """
    kind, _, name = rule.rpartition(".")
    used = max((n - plus) // times, 0) if f is None else f
    least = max(times * used + plus, 1)
    if n < least:
        hint = "lower f, " if used else ""
        raise ConfigError(
            f"algorithm.{kind}.f: {name} with f = {used} needs at least {least} updates, "
            f"there are {n}; {hint}let more hospitals take part, or choose another rule"
        )
    return used
