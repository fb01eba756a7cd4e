"""What the journal knows of a finished round."""

import json
from dataclasses import dataclass, fields

from federated.counts import Counts, merge
from federated.metrics import Metrics
from tasks.packed_counts import groups, unpack

_PACKED = ("packed", "packed_validation")


@dataclass(frozen=True)
class RoundMetrics:
    """Over test rows: every hospital's metrics, and the counts of all hospitals together."""

    hospitals: dict[str, Metrics]
    total: Counts


@dataclass(frozen=True)
class RoundRecord:
    """One finished round. Round 0 is the initial model: evaluated, trained by nobody.

    weights, state: digests of the global weights after the round and of the server's state.
    states: hospital → digest of the file that holds its own state, with others'. train_loss,
    steps, sent: by hospital of the cohort, sent in bytes. packed, packed_validation: counts over
    test and validation rows (`tasks/packed_counts.py`). tuned: hospitals trained for themselves
    alone. time_ms: when it was committed (Unix time), the timestamp of its metrics in MLflow.
    """

    round: int
    weights: str
    state: str
    states: dict[str, str]
    train_loss: dict[str, float]
    steps: dict[str, int]
    sent: dict[str, int]
    packed: bytes
    packed_validation: bytes
    tuned: bool
    time_ms: int

    @property
    def counts(self) -> dict[str, Counts]:
        """Counts over test rows, by hospital; unpacked at every call."""
        return unpack(self.packed)

    def metrics(self) -> RoundMetrics:
        """Worked out group by group: a thousand hospitals' counts are never all in memory."""
        hospitals: dict[str, Metrics] = {}
        totals = []
        for group in groups(self.packed):
            hospitals |= {hospital: counts.metrics() for hospital, counts in group.items()}
            totals.append(merge(list(group.values())))
        return RoundMetrics(hospitals, merge(totals))

    @property
    def validation(self) -> dict[str, Counts]:
        """Counts over validation rows, if hospitals keep any; unpacked at every call."""
        return unpack(self.packed_validation)

    @property
    def files(self) -> set[str]:
        """Digests of all that it names."""
        return {self.weights, self.state, *self.states.values()}

    @property
    def cohort(self) -> tuple[str, ...]:
        """The hospitals that trained."""
        return tuple(self.steps)

    def row(self) -> tuple[int, str, bytes, bytes]:
        """As the journal's table has it."""
        plain = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in _PACKED}
        return self.round, json.dumps(plain), self.packed, self.packed_validation


def from_row(row: tuple[str, bytes, bytes]) -> RoundRecord:
    """From (record, counts, validation) of the journal's table."""
    plain, packed, validation = row
    return RoundRecord(**json.loads(plain), packed=packed, packed_validation=validation)
