"""What is done to the updates of a round before they are aggregated.

A rule is a frozen dataclass with `prepare(updates) -> list of updates`, of the same hospitals.
"""
