"""What the coordinator does to the updates before it aggregates them.

A rule is a frozen dataclass with `prepare(updates) -> list[Update]`: the same hospitals in the
given order, with new deltas in the tensors' own dtypes and everything else kept. What a hospital
gets must not depend on the order of the updates, to the bit. It raises ValueError without
updates, and UpdateError as `federated.checks.alike`.

A robust rule has `robust: ClassVar[bool] = True` and `tolerates(n) -> int`, as aggregations have.
"""
