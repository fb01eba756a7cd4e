"""What a column of a raw table holds, judged from its cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from federated.errors import DataError
from federated.schema import Column

if TYPE_CHECKING:
    import pandas as pd

    Series = pd.Series[Any]

MAX_CODES = 50
"""A categorical column or a target with more different values is refused."""
INFERRED_CODES = 20
"""A column of more different texts is taken for names or notes and refused."""


def infer(cells: Series, where: str) -> Column:
    """A column whose kind nobody gave.

    Numbers (over half of its cells): binary if they are all 0 or 1, else numeric. Texts: binary
    if two differ, else categorical. Raises DataError for texts that differ too much.
    """
    values = _numbers(cells)
    if len(values) * 2 > cells.notna().sum() or cells.isna().all():
        return column(cells, "binary" if _zero_one(values) else "numeric", where)
    texts = cells.dropna().astype("str").nunique()
    if texts > INFERRED_CODES:
        raise DataError(
            f"{where}: column {cells.name!r} holds {texts} different texts; name it in "
            "data.source.drop, or under data.source.categorical"
        )
    return column(cells, "binary" if texts == 2 else "categorical", where)


def column(cells: Series, kind: str, where: str) -> Column:
    """A column of a known kind with the codes, or the texts for codes, that its cells hold."""
    name = str(cells.name)
    if kind == "numeric":
        return Column(name=name, kind="numeric")
    values = _numbers(cells)
    if kind == "binary":
        if _zero_one(values) and len(values) * 2 > cells.notna().sum():
            return Column(name=name, kind="binary", codes=(0, 1))
        return Column(name=name, kind="binary", codes=(0, 1), labels=_two_texts(cells, where))
    if len(values) * 2 > cells.notna().sum():
        codes = tuple(sorted({float(value) for value in values}))
        _few(name, len(codes), where)
        return Column(name=name, kind="categorical", codes=codes)
    labels = tuple(sorted(set(cells.dropna().astype("str"))))
    _few(name, len(labels), where)
    codes = tuple(float(code) for code in range(len(labels)))
    return Column(name=name, kind="categorical", codes=codes, labels=labels)


def target_classes(cells: Series, where: str) -> tuple[str, ...]:
    """The target's texts, by number if they are numbers, else by alphabet."""
    texts = sorted(set(cells.dropna().astype("str")))
    _few(str(cells.name), len(texts), where)
    if len(texts) < 2:
        raise DataError(f"{where}: target {cells.name!r} has fewer than two classes")
    numeric = len(_numbers(cells)) == cells.notna().sum()
    return tuple(sorted(texts, key=float) if numeric else texts)


def _numbers(cells: Series) -> Series:
    """The cells that are finite numbers."""
    import numpy as np
    import pandas as pd

    values = pd.to_numeric(cells, errors="coerce").dropna().astype("float64")
    return values[np.isfinite(values)]


def _zero_one(values: Series) -> bool:
    return len(values) > 0 and bool(values.isin([0, 1]).all())


def _two_texts(cells: Series, where: str) -> tuple[str, ...]:
    """The two commonest texts, by alphabet; cells with any other are quarantined later."""
    counts = cells.dropna().astype("str").value_counts()
    ranked = sorted(counts.items(), key=lambda item: (-int(item[1]), str(item[0])))
    if len(ranked) < 2:
        raise DataError(
            f"{where}: column {cells.name!r} is declared binary but has fewer than two values; "
            "name it in data.source.drop"
        )
    return tuple(sorted(str(text) for text, _ in ranked[:2]))


def _few(name: str, count: int, where: str) -> None:
    if not 0 < count <= MAX_CODES:
        raise DataError(
            f"{where}: column {name!r} has {count} different values, 1 to {MAX_CODES} can be "
            "classes or codes; declare it numeric or name it in data.source.drop"
        )
