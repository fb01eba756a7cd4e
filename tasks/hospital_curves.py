"""Every hospital's metrics after every round as one Parquet file, for runs of many hospitals."""

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.quantiles import defined
from tasks.round_record import RoundRecord

CURVES_FILE = "hospitals.parquet"
_NAMES = pa.dictionary(pa.int32(), pa.string())
_SCHEMA = pa.schema(
    [("hospital", _NAMES), ("round", pa.int32()), ("metric", _NAMES), ("value", pa.float64())]
)


def write_curves(path: Path, records: Iterable[RoundRecord]) -> None:
    """A line a hospital, round and metric, and those of training: `train_loss`, `bytes_sent`.

    An undefined metric has no line. One round is in memory at a time.
    """
    with pq.ParquetWriter(path, _SCHEMA) as writer:
        for record in records:
            writer.write_table(_table(record))


def _table(record: RoundRecord) -> pa.Table:
    lines = [
        (hospital, metric, value)
        for hospital, metrics in sorted(record.metrics().hospitals.items())
        for metric, value in _values(record, hospital, defined(metrics))
    ]
    hospitals, metrics, values = zip(*lines, strict=True)
    rounds = [record.round] * len(lines)
    return pa.table([hospitals, rounds, metrics, values], schema=_SCHEMA)


def _values(
    record: RoundRecord, hospital: str, found: list[tuple[str, float]]
) -> list[tuple[str, float]]:
    if hospital not in record.train_loss:
        return found
    own = record.train_loss[hospital], float(record.sent[hospital])
    return [*found, ("train_loss", own[0]), ("bytes_sent", own[1])]
