"""A file of patients → a file of a model's predictions, row by row; nothing goes anywhere else."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from federated.datasets._csv import Csv
from federated.datasets._files import PLAIN, Raw, read_table
from federated.errors import DataError
from tasks.files import write_atomic
from tasks.shelf import Refused, Shelved

ROW, REFUSED = "row", "refused"


@dataclass(frozen=True)
class Predicted:
    """frame: a line a row of the file: its number from 1, predictions (missing where it was
    refused), and why it was. refused: the same in words, with the caller's own cells. scored: rows
    with predictions. notes: what was found out about the file."""

    frame: pd.DataFrame
    refused: tuple[str, ...]
    scored: int
    notes: tuple[str, ...] = ()


def predict(shelved: Shelved, path: Path, how: Csv = PLAIN) -> Predicted:
    """Predictions of a CSV or Parquet file or, by a model of images, of a .npy file's.

    how: a CSV is written, as far as that is known. Raises DataError for a file that cannot be read,
    lacks a column, or has images of another shape.
    """
    if shelved.takes_images:
        images = _images(path)
        with _naming(path):
            found = shelved.predict(images)
        return Predicted(_lines(found, len(found), {}), (), len(found))
    labels, hospital = shelved.labels, shelved.hospital_columns
    values = {label for known in labels.values() for label in known}
    raw = read_table(path, how, not_missing=values, texts=[*labels], names=hospital)
    with _naming(path):
        refused = shelved.refused(raw.frame)
    return _scored(shelved, raw, refused)


def require_kind(path: Path) -> None:
    """Raise DataError for a name that is neither a CSV's nor a Parquet file's."""
    if path.suffix.lower() not in (".csv", ".parquet"):
        raise DataError(f"--out {path}: neither .csv nor .parquet; name one of them")


def write(predicted: Predicted, path: Path) -> None:
    """As CSV or Parquet, by the file's name."""
    buffer = io.BytesIO()
    if path.suffix.lower() == ".parquet":
        predicted.frame.to_parquet(buffer, index=False)
    else:
        predicted.frame.to_csv(buffer, index=False)
    write_atomic(path, buffer.getvalue())


def _scored(shelved: Shelved, raw: Raw, refused: Sequence[Refused]) -> Predicted:
    """Predictions of the rows without a refused cell."""
    table, why = raw.frame, dict[int, list[str]]()
    for one in refused:
        why.setdefault(one.position, []).append(f"{one.column} is {one.why}")
    good = [i for i in range(len(table)) if i not in why]
    found = shelved.scored(table.iloc[good]).set_axis(good, axis="index")
    words = [one.in_words(table[one.column].iloc[one.position]) for one in refused]
    return Predicted(_lines(found, len(table), why), tuple(words), len(good), raw.notes)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Put the file before what is said of it."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def _lines(found: pd.DataFrame, rows: int, why: dict[int, list[str]]) -> pd.DataFrame:
    """found: predictions by position. A class called like one of the two columns keeps its name."""
    row, refused = (f"{n}_" if n in found else n for n in (ROW, REFUSED))
    frame = found.reindex(range(rows))
    frame.insert(0, row, np.arange(1, rows + 1))
    return frame.assign(**{refused: ["; ".join(why.get(i, [])) for i in range(rows)]})


def _images(path: Path) -> NDArray[Any]:
    """uint8 [n, channels, height, width]."""
    try:
        images: NDArray[Any] = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not a .npy file of images ({error})") from error
    return images
