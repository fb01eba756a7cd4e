"""The local step size over rounds: a factor of `algorithm.local.lr`.

A rule is a frozen dataclass with `factor(round, rounds) -> float > 0`, rounds counted from 1.
"""
