"""Many updates → one step for the coordinator.

A rule is a frozen dataclass with `aggregate(updates) -> Weights` (float64). Its result must not
depend on the order of the updates, to the bit.
"""
