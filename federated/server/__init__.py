"""The step that the coordinator takes with the aggregate.

A rule is a frozen dataclass with `init(weights) -> state` and
`apply(weights, aggregate, state) -> (weights, state)`; the state is Weights too, so that the
journal keeps it like weights. Nothing is hidden on `self`. Tensors that the aggregate does not
have stay at the hospitals: a rule leaves them, and their state, alone.
"""
