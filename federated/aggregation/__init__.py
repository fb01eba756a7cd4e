"""Many updates → one step for the coordinator.

A rule is a frozen dataclass with `aggregate(updates) -> Weights` (float64). Its result must not
depend on the order of the updates, to the bit: `federated.checks.alike` sorts them by hospital
and refuses what cannot be aggregated, `federated.weights.exact_sum` adds without an order.

A rule that reads `Update.scalars` names them in `needs: ClassVar[frozenset[str]]`.

A robust rule has `robust: ClassVar[bool] = True` and `tolerates(n) -> int`, the number f of
faulty hospitals it withstands among n (ConfigError if n is too few). Robust rules count
hospitals alike, whatever their size: a faulty hospital could claim any number of examples.
"""
