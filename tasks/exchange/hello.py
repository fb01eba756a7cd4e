"""What a hospital says when it joins, and the statistics that are agreed on then."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from federated.encoding import Scaling, Summary, measured, noted, summary
from federated.errors import DataError
from federated.objectives import objective_of
from federated.records import RawHospital
from federated.schema import Coverage, ImageSchema, TableSchema, parse_schema
from federated.statistics import FeatureStatistics, Sums
from federated.tally import Tally
from federated.types import RowCounts
from tasks.exchange.refusal import RefusalError, shown

_MOST = 2**53 - 1
_MD5 = 32  # digits


@dataclass(frozen=True)
class Hello:
    """md5: of its records. coverage: what became of its raw rows, in counts. summary: of its
    training rows."""

    md5: str
    rows: RowCounts
    schema: TableSchema | ImageSchema
    coverage: Coverage
    summary: Summary


def hello_of(raw: RawHospital, md5: str, scaling: Scaling) -> Hello:
    """Of a hospital's own rows."""
    train, validation, test = (int(some.sum()) for some in (raw.train, raw.validation, raw.test))
    examples = objective_of(raw.schema).examples(raw.targets[raw.train])
    rows = RowCounts(train, validation, test, examples)
    return Hello(md5, rows, raw.schema, noted(raw), summary(raw, scaling))


def hello_body(hello: Hello) -> dict[str, Any]:
    """As a note's body."""
    rows, counted = hello.rows, hello.summary.sums
    return {
        "md5": hello.md5,
        "rows": [rows.train, rows.validation, rows.test, rows.examples],
        "schema": hello.schema.model_dump_json(),
        "coverage": hello.coverage.model_dump_json(),
        "sums": {
            "count": list(counted.count),
            "total": hexes(counted.total),
            "rest": hexes(counted.rest),
        },
        "tally": _tally_body(hello.summary.tally),
    }


def hello_in(body: Mapping[str, Any], hospital: str) -> Hello:
    """From a note's body. Raises RefusalError (form) naming the field."""
    if body.keys() != {"md5", "rows", "schema", "coverage", "sums", "tally"}:
        raise RefusalError("form", f"a hello has other fields than {shown(sorted(body)[:1])}")
    md5, rows = body["md5"], body["rows"]
    if not isinstance(md5, str) or len(md5) != _MD5 or not md5.isalnum():
        raise RefusalError("form", f"md5 is {shown(md5)}")
    try:
        schema = parse_schema(body["schema"], "hello")
        coverage = Coverage.model_validate_json(body["coverage"])
    except (DataError, ValueError, TypeError) as error:
        raise RefusalError("form", f"schema or coverage: {shown(str(error))}") from error
    if coverage.hospital != hospital:
        raise RefusalError("hospital", f"the coverage is {shown(coverage.hospital)}'s")
    counts = RowCounts(*_counts(rows, 4))
    if counts.examples > counts.train:
        raise RefusalError("form", f"{counts.examples} examples of {counts.train} training rows")
    found = Summary(_sums(body["sums"], measured(schema)), _tally_in(body["tally"], schema))
    return Hello(md5, counts, schema, coverage, found)


def hexes(values: Sequence[float]) -> list[str]:
    """Numbers in hexadecimal, which loses no bit of them."""
    return [float(value).hex() for value in values]


def floats(values: Any, size: int) -> tuple[float, ...]:
    """So many finite numbers of `hexes`. Raises RefusalError."""
    if not isinstance(values, list) or len(values) != size:
        raise RefusalError("form", f"{shown(values)} in place of {size} numbers")
    try:
        found = tuple(float.fromhex(text) for text in values)
    except (TypeError, ValueError, OverflowError) as error:
        raise RefusalError("form", "a number is none") from error
    if not all(map(math.isfinite, found)):
        raise RefusalError("finite", "a statistic is not finite")
    return found


def statistics_body(found: FeatureStatistics, tally: Tally | None) -> dict[str, Any]:
    """As a note's body. tally: of all hospitals."""
    mean, std = hexes(found.mean), hexes(found.std)
    return {"mean": mean, "std": std, "count": list(found.count), "tally": _tally_body(tally)}


def statistics_in(
    body: Mapping[str, Any], schema: TableSchema | ImageSchema
) -> tuple[FeatureStatistics, Tally | None]:
    """From a note's body. Raises RefusalError."""
    if body.keys() != {"mean", "std", "count", "tally"}:
        raise RefusalError("form", "statistics have mean, std, count and tally")
    size = measured(schema)
    mean, std = (floats(body[name], size) for name in ("mean", "std"))
    found = FeatureStatistics(mean, std, _counts(body["count"], size))
    return found, _tally_in(body["tally"], schema)


def _tally_body(tally: Tally | None) -> dict[str, Any] | None:
    """Of a table; there is none of images."""
    if tally is None:
        return None
    levels = [list(counts) for counts in tally.levels]
    fields = {"read": tally.read, "missing": tally.missing, "varies": tally.varies}
    return {"levels": levels} | {name: list(values) for name, values in fields.items()}


def _tally_in(values: Any, schema: TableSchema | ImageSchema) -> Tally | None:
    """Of the schema's columns and codes. Raises RefusalError."""
    if isinstance(schema, ImageSchema):
        if values is not None:
            raise RefusalError("form", "a tally of images")
        return None
    if not isinstance(values, dict) or values.keys() != {"read", "missing", "levels", "varies"}:
        raise RefusalError("form", "a tally has read, missing, levels and varies")
    size, levels = len(schema.columns), values["levels"]
    if not isinstance(levels, list) or len(levels) != size:
        raise RefusalError("form", f"{shown(levels)} in place of {size} columns' levels")
    return Tally(
        _flags(values["read"], size),
        _counts(values["missing"], size),
        tuple(_counts(n, len(c.codes)) for n, c in zip(levels, schema.columns, strict=True)),
        _flags(values["varies"], size),
    )


def _flags(values: Any, size: int) -> tuple[bool, ...]:
    if not isinstance(values, list) or [type(v) for v in values] != [bool] * size:
        raise RefusalError("form", f"{shown(values)} in place of {size} answers")
    return tuple(values)


def _counts(values: Any, size: int) -> tuple[int, ...]:
    whole = isinstance(values, list) and all(type(v) is int and 0 <= v <= _MOST for v in values)
    if not whole or len(values) != size:
        raise RefusalError("form", f"{shown(values)} in place of {size} counts")
    return tuple(values)


def _sums(values: Any, size: int) -> Sums:
    if not isinstance(values, dict) or values.keys() != {"count", "total", "rest"}:
        raise RefusalError("form", "sums have count, total and rest")
    total, rest = (floats(values[name], size) for name in ("total", "rest"))
    return Sums(_counts(values["count"], size), total, rest)
