"""A hospital's own state: what a rule keeps there from round to round, and never sends.

One flat dictionary of tensors, so that it is stored like weights; each owner has its prefix.
"""

from federated.types import Weights


def part(state: Weights, owner: str) -> Weights:
    """The tensors of one owner, by their own names."""
    prefix = f"{owner}/"
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}


def join(**parts: Weights) -> Weights:
    """One state of every owner's tensors."""
    return {f"{owner}/{k}": v for owner, tensors in parts.items() for k, v in tensors.items()}
