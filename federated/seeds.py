"""Randomness is an argument: a generator from (run seed, what for, …), never global state."""

import hashlib

import torch


def seed(*parts: int | str) -> int:
    """A 63-bit seed from its parts; another part anywhere gives an unrelated seed."""
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(*parts: int | str) -> torch.Generator:
    """A torch generator on the CPU, seeded from its parts."""
    return torch.Generator().manual_seed(seed(*parts))
