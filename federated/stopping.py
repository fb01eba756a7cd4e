"""Which round's model is kept, and when to stop: by validation rows, never by test rows.

Early stopping with patience: Prechelt 1998 (doi 10.1007/3-540-49430-8_3), counted in rounds.
"""

from collections.abc import Sequence

Values = Sequence[float | None]


def best(values: Values, *, higher_is_better: bool) -> int:
    """Index of the best value, the first of equal ones; the last index where none is defined.

    values: the metric over the validation rows after rounds 0, 1, …; the last one is a candidate
    like the others.
    """
    known = [(v if higher_is_better else -v, -i) for i, v in enumerate(values) if v is not None]
    return -max(known)[1] if known else len(values) - 1


def exhausted(values: Values, patience: int, *, higher_is_better: bool) -> bool:
    """Have `patience` rounds passed without a better value than the best before them?"""
    return len(values) - 1 - best(values, higher_is_better=higher_is_better) >= patience
