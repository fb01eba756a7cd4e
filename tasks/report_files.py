"""Reads and writes the results in `reports/`: the same results, the same bytes."""

import csv
import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from federated.errors import WardroundError
from federated.objectives import readings
from federated.results import Curves, Results, RoundRow
from federated.schema import Record
from tasks.files import write_atomic

RESULTS, CURVES, ROUNDS = "metrics.json", "evaluation.json", "rounds.csv"
REPORT = "report.html"
_COLUMNS = tuple(RoundRow.model_fields)
_MEASURED = [sorted(m.name for m in reading.measures) for reading in readings()]
_Kind = TypeVar("_Kind", bound=Record)


def write_results(folder: Path, results: Results) -> Path:
    """Write metrics.json."""
    return _write_json(folder / RESULTS, results, indent=2)


def read_results(folder: Path) -> Results:
    """Read metrics.json. Raises WardroundError if it is missing or malformed."""
    return _read_json(folder / RESULTS, Results)


def write_curves(folder: Path, curves: Curves) -> Path:
    """Write evaluation.json."""
    return _write_json(folder / CURVES, curves, indent=None)


def read_curves(folder: Path) -> Curves:
    """Read evaluation.json. Raises WardroundError if it is missing or malformed."""
    return _read_json(folder / CURVES, Curves)


def write_rounds(path: Path, rows: Iterable[RoundRow]) -> Path:
    """Write a CSV of rounds, by round and name: floats that read back exactly, missing empty.

    rows: at least one. Raises WardroundError where a round has two lines for one name.
    """
    lines = sorted(rows, key=lambda row: (row.round, row.hospital))
    seen: set[tuple[int, str]] = set()
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(lines[0].model_dump())
    for row in lines:
        if (key := (row.round, row.hospital)) in seen:
            raise WardroundError(
                f"{path.name}: two lines for {row.hospital!r} in round {row.round}"
            )
        seen.add(key)
        writer.writerow(["" if v is None else v for v in row.model_dump().values()])
    return _write(path, text.getvalue())


def read_rounds(path: Path) -> tuple[RoundRow, ...]:
    """Read a CSV of rounds. Raises WardroundError if it is missing or malformed."""
    lines = csv.DictReader(io.StringIO(_read(path), newline=""))
    first, rest = (
        tuple(lines.fieldnames or ())[: len(_COLUMNS)],
        (lines.fieldnames or ())[len(_COLUMNS) :],
    )
    if first != _COLUMNS or sorted(rest) not in _MEASURED:
        raise _malformed(path, f"the columns are not {', '.join(_COLUMNS)} and an objective's")
    try:
        return tuple(RoundRow.model_validate(_blank_to_none(line)) for line in lines)
    except ValidationError as error:
        raise _malformed(path, _first(error)) from None


def _write_json(path: Path, record: Record, indent: int | None) -> Path:
    """Keys are sorted, so that the order in which hospitals answered leaves no trace."""
    values = record.model_dump(mode="json", by_alias=True)
    text = json.dumps(values, sort_keys=True, indent=indent, ensure_ascii=False, allow_nan=False)
    return _write(path, text + "\n")


def _write(path: Path, text: str) -> Path:
    write_atomic(path, text.encode())
    return path


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise WardroundError(f"{path}: no such file; run `wardround train`") from None
    except (OSError, UnicodeDecodeError) as error:
        raise _malformed(path, str(error)) from error


def _read_json(path: Path, kind: type[_Kind]) -> _Kind:
    try:
        return kind.model_validate_json(_read(path))
    except ValidationError as error:
        raise _malformed(path, _first(error)) from None


def _blank_to_none(line: Mapping[str | None, str | None]) -> dict[str, str | None]:
    return {str(k): None if v == "" else v for k, v in line.items()}


def _first(error: ValidationError) -> str:
    """The first fault in words."""
    fault = error.errors()[0]
    place = ".".join(str(part) for part in fault["loc"])
    return f"{place}: {fault['msg']}" if place else str(fault["msg"])


def _malformed(path: Path, why: str) -> WardroundError:
    return WardroundError(f"{path}: not readable ({why}); run `wardround train` to write it anew")
