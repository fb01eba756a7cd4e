"""What a column of a raw table holds: its kind, and the texts that are its codes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from federated.datasets._marks import among_numbers
from federated.errors import DataError
from federated.schema import OTHER, Column
from federated.texts import as_text, matches, numbers, same_numbers

if TYPE_CHECKING:
    import pandas as pd

    Series = pd.Series[Any]

MAX_CODES = 50
"""A declared categorical column of more different texts needs max_categories, …"""
INFERRED_CODES = 20
"""… and so does one of more texts that nobody declared."""
_UNCLEAR = 0.05
"""Where a larger share of a column of numbers are other texts, it may hold codes."""


@dataclass(frozen=True)
class Judged:
    """A column, its cells without marks, mark → cells it stood in, and notes for the user."""

    column: Column
    cells: Series
    marks: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def infer(cells: Series, where: str, most: int | None) -> Judged:
    """A column whose kind nobody gave. most: categories that become inputs, or null for all.

    Numbers (over half of its known cells): binary if they are all 0 or 1, else numeric; but codes
    if one begins with a 0, as 042 does. Texts: binary if two differ, else categorical. Raises
    DataError for numbers among which there are many other texts, and for too many texts.
    """
    texts = as_text(cells.dropna())
    if matches(texts, r"0\d+").any():
        why = f"column {cells.name!r}: has numbers that begin with 0, so they are codes"
        return _coded(cells, where, most, INFERRED_CODES, (why,))
    cleaned, marks = among_numbers(cells)
    known = cleaned.dropna()
    values = numbers(known).dropna()
    if len(values) * 2 > len(known) or texts.empty:
        _require_numbers(known, values, where)
        kind = "binary" if zero_one(values) else "numeric"
        return Judged(_plain(str(cells.name), kind), cleaned, marks)
    if texts.nunique() == 2:
        return _paired(cells, where)
    if most is not None and texts.nunique() * 2 > len(texts):
        raise DataError(
            f"{where}: column {cells.name!r} holds another text in most rows, as names and notes "
            "do; name it in data.source.drop"
        )
    return _coded(cells, where, most, INFERRED_CODES)


def declared(cells: Series, kind: str, where: str, most: int | None) -> Judged:
    """A column of a known kind with the codes, or the texts for codes, that its cells hold."""
    if kind == "categorical":
        return _coded(cells, where, most, MAX_CODES)
    cleaned, marks = among_numbers(cells)
    known = cleaned.dropna()
    values = numbers(known).dropna()
    if kind == "numeric" or (zero_one(values) and len(values) * 2 > len(known)):
        return Judged(_plain(str(cells.name), kind), cleaned, marks)
    return _paired(cells, where)


def zero_one(values: Series) -> bool:
    """Are there numbers, and all of them 0 or 1?"""
    return len(values) > 0 and bool(values.isin([0, 1]).all())


def _plain(name: str, kind: str) -> Column:
    if kind == "binary":
        return Column(name=name, kind="binary", codes=(0, 1))
    return Column(name=name, kind="numeric")


def _require_numbers(known: Series, values: Series, where: str) -> None:
    """Raise DataError for a column that may hold numbers with faults, or codes."""
    others = known[~known.index.isin(values.index)]
    if others.nunique() > 2 and len(others) > _UNCLEAR * len(known):
        raise DataError(
            f"{where}: column {known.name!r}: {len(others)} of {len(known)} known cells are no "
            "numbers; name it in data.source.numeric (they read as missing), in "
            "data.source.categorical if it holds codes, or in data.source.drop"
        )


def _paired(cells: Series, where: str) -> Judged:
    """Binary: the two commonest texts, by alphabet; cells with any other are bad ones."""
    texts = same_numbers(cells)
    counts = Counter(texts.dropna())
    ranked = sorted(counts, key=lambda text: (-counts[text], text))
    if len(ranked) < 2:
        raise DataError(
            f"{where}: column {cells.name!r} is declared binary but has fewer than two values; "
            "name it in data.source.drop"
        )
    pair = tuple(sorted(ranked[:2]))
    column = Column(name=str(cells.name), kind="binary", codes=(0, 1), labels=pair)
    return Judged(column, texts, notes=_alike(str(cells.name), ranked))


def _coded(
    cells: Series, where: str, most: int | None, limit: int, notes: tuple[str, ...] = ()
) -> Judged:
    """Categorical: every text is a category of its own, with `most` and more of them `other`."""
    name, texts = str(cells.name), as_text(cells)
    labels = sorted(set(texts.dropna()))
    if not labels or (most is None and len(labels) > limit):
        raise DataError(
            f"{where}: column {name!r} holds {len(labels)} different texts; data.source."
            "max_categories takes so many of the commonest and makes the rest one category, "
            f"{OTHER}; or name it in data.source.drop"
        )
    notes = (*notes, *_alike(name, labels))
    capped = most is not None and len(labels) > most
    if capped:
        labels = [*(label for label in labels if label != OTHER), OTHER]
        said = (
            f"column {name!r}: of {len(labels) - 1} categories at most the {most} commonest among"
        )
        notes = (*notes, f"{said} training rows are inputs, the rest is one, {OTHER!r}")
    column = Column(
        name=name,
        kind="categorical",
        codes=tuple(float(code) for code in range(len(labels))),
        labels=tuple(labels),
        most=most if capped else None,
    )
    return Judged(column, texts, notes=notes)


def _alike(name: str, labels: list[str]) -> tuple[str, ...]:
    """A note if some categories differ only in capital letters."""
    spelt = Counter(label.casefold() for label in labels)
    alike = sorted(label for label in labels if spelt[label.casefold()] > 1)
    shown = ", ".join(map(repr, alike[:6]))
    return (f"column {name!r}: {shown} differ in capitals alone, and count apart",) if alike else ()
