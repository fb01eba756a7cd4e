"""Which hospitals take part in a round: the cohort.

A rule is a frozen dataclass with `select(hospitals, generator) -> list of names`, in the order of
`hospitals`, at least one.
"""
