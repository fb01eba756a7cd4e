"""A CSV as hospitals write them: encoding and delimiter given, or found out and said."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from federated.errors import DataError
from federated.schema import Record

if TYPE_CHECKING:
    import pandas as pd

DELIMITERS = (",", ";", "\t", "|")
_BOMS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_SAMPLE = 50  # records
_QUOTES = "is there a quotation mark too many?"


class Csv(Record):
    """How a CSV is written; what is null is found out from the file.

    delimiter: one character. decimal: the decimal mark. encoding: a name that Python knows.
    """

    delimiter: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    decimal: Literal[".", ","] | None = None
    encoding: str | None = None


@dataclass(frozen=True)
class Sheet:
    """cells: all as text, stripped, columns by position. names: the header's, "" for none.
    notes: what was found out."""

    cells: pd.DataFrame
    names: tuple[str, ...]
    notes: tuple[str, ...]


def read_csv(raw: bytes, how: Csv, where: str) -> Sheet:
    """A CSV's cells. Blank lines are none.

    Raises DataError, naming the line, for a row that has not as many fields as the header.
    """
    import pandas as pd

    text, notes = _text(raw, how.encoding, where)
    delimiter = how.delimiter or _delimiter(text, where)
    width, rows = _shape(text, delimiter, where)
    if rows < 2:
        raise DataError(f"{where}: holds no rows")
    whole = pd.read_csv(
        io.StringIO(text),
        sep=delimiter,
        header=None,
        names=list(range(width)),
        index_col=False,
        dtype="str",
        keep_default_na=False,
    ).apply(lambda cells: cells.str.strip())
    if len(whole) != rows:
        raise DataError(f"{where}: {rows} lines by one count, {len(whole)} by another; {_QUOTES}")
    if how.delimiter is None and delimiter != ",":
        notes += [f"{where}: cells are separated by {delimiter!r}"]
    names = tuple(str(name) for name in whole.iloc[0])
    return Sheet(whole.iloc[1:], names, tuple(notes))


def _text(raw: bytes, given: str | None, where: str) -> tuple[str, list[str]]:
    """The file's text, and a note if its encoding had to be guessed."""
    marked = [name for bom, name in _BOMS.items() if raw.startswith(bom)]
    names = [given] if given else marked or [_unmarked(raw), "cp1252", "latin-1"]
    for name in names:
        try:
            text = raw.decode(name).removeprefix("\ufeff")
        except UnicodeDecodeError:
            continue
        except LookupError:
            raise DataError(f"data.source.csv.encoding: there is no encoding {name!r}") from None
        if given or name in ("utf-8", "utf-8-sig"):
            return text, []
        return text, [f"{where}: read as {name}; data.source.csv.encoding names another encoding"]
    raise DataError(f"{where}: is not {names[0]}; name its encoding in data.source.csv.encoding")


def _unmarked(raw: bytes) -> str:
    """UTF-8, or UTF-16, in which every other byte of a header is 0."""
    start = raw[:200]
    if start.count(0) * 3 < len(start):
        return "utf-8"
    return "utf-16-le" if start[1::2].count(0) > start[::2].count(0) else "utf-16-be"


def _records(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """(first line, fields) of each record that is not blank."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    begin = 1
    for fields in reader:
        if len(fields) > 1 or (fields and fields[0].strip()):
            yield begin, fields
        begin = reader.line_num + 1


def _delimiter(text: str, where: str) -> str:
    """The one that cuts the header into most fields, and all rows alike if any does."""
    widths: dict[str, list[int]] = {}
    for mark in DELIMITERS:
        try:
            sample = [len(fields) for _, fields in islice(_records(text, mark), _SAMPLE)]
        except csv.Error:
            continue
        if sample and sample[0] > 1:
            widths[mark] = sample
    even = [mark for mark, sample in widths.items() if len(set(sample)) == 1]
    ranked = sorted(even or widths, key=lambda mark: -widths[mark][0])
    if len(ranked) > 1 and widths[ranked[0]][0] == widths[ranked[1]][0]:
        raise DataError(
            f"{where}: {ranked[0]!r} and {ranked[1]!r} may both separate its cells; name one in "
            "data.source.csv.delimiter"
        )
    return ranked[0] if ranked else ","


def _shape(text: str, delimiter: str, where: str) -> tuple[int, int]:
    """Fields of the header, and lines with it. Raises DataError for a row with more or fewer."""
    width = rows = 0
    try:
        for line, fields in _records(text, delimiter):
            rows += 1
            width = width or len(fields)
            if len(fields) != width:
                raise _ragged(where, line, fields, width)
    except csv.Error as error:
        what = f"not a CSV after {rows} rows: {error}; {_QUOTES}"
        raise DataError(f"{where}: {what}") from error
    return width, rows


def _ragged(where: str, line: int, fields: list[str], width: int) -> DataError:
    if len(fields) == width + 1 and not fields[-1].strip():
        why = "the row ends in a delimiter that the header lacks"
    elif len(fields) > width:
        why = (
            "a cell that holds the delimiter needs quotation marks, row names a name in the header"
        )
    else:
        why = "is it cut short?"
    return DataError(
        f"{where}, line {line}: {len(fields)} fields, and the header has {width}; {why}. Mend the "
        "file, or name its delimiter in data.source.csv.delimiter"
    )
