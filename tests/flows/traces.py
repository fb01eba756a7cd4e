"""Looks for values in everything that was written: as text and as numbers, in any byte order.

Databases are read row by row as well as byte by byte (a long text is cut up into pages), and
archives are opened.
"""

import re
import sqlite3
import struct
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

Contents = Iterator[tuple[str, bytes]]


def forms(value: float | str) -> set[bytes]:
    """How a value may stand in a file.

    A number: the digits that float32 and float64 have in common, and the bytes of both in either
    byte order. Four bytes are looked for only if text cannot be taken for them.
    """
    if isinstance(value, str):
        return {value.encode(), value.encode("utf-16-le")}
    numbers = {struct.pack(kind, value) for kind in ("<d", ">d", "<f", ">f")}
    return {digits(value)} | {n for n in numbers if len(n) == 8 or not n.isascii()}


def digits(value: float) -> bytes:
    """The first seven or eight significant digits: 1234.567 is found in 1234.56789012, too."""
    text = f"{abs(value):.15f}"
    return text[: len(text) - len(text.lstrip("0.")) + 8].encode()


def contents(roots: Iterable[Path]) -> Contents:
    """(name, bytes) of all files below, of what is in archives, and of databases' rows."""
    below = (p for root in roots for p in (root, *sorted(root.rglob("*"))))
    for path in (p for p in below if p.is_file()):
        yield str(path), path.read_bytes()
        if zipfile.is_zipfile(path):
            yield from _archived(path)
        if path.suffix == ".db":
            yield f"{path}, dumped", _dumped(path)


def leaks(found: Contents, wanted: dict[str, set[bytes]]) -> list[str]:
    """What of `wanted` (name → forms) is where."""
    return [
        f"{name} in {where}"
        for where, data in found
        for name, needles in wanted.items()
        if any(_holds(data, needle) for needle in needles)
    ]


def _holds(data: bytes, needle: bytes) -> bool:
    """Digits count where a number begins: 1.234567 is no part of a time like 10:00:01.234567."""
    if not needle[:1].isdigit():
        return needle in data
    return needle in data and re.search(rb"(?<![0-9.])" + re.escape(needle), data) is not None


def _archived(path: Path) -> Contents:
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            yield f"{path}, {name}", archive.read(name)


def _dumped(path: Path) -> bytes:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        return "\n".join(database.iterdump()).encode()
