"""Which inputs a model has of a table: a function of its schema and of all hospitals' tallies.

An input has to vary among training rows, or its weight would stay as it was drawn, and be used all
the same. And a weight is nobody's own: what switches an input on, FEWEST_PATIENTS have.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from federated.errors import DataError
from federated.schema import OTHER, Column, TableSchema
from federated.statistics import FEWEST_PATIENTS
from federated.tally import Tally

WIDE = 256
"""Inputs of categorical columns, above which rows keep codes (`federated/coded.py`)."""
NO_INPUT = -1
_NAMED = 5  # categories in a sentence


@dataclass(frozen=True)
class Coded:
    """A categorical column, place `column` in the schema.

    codes: those with a slot, ascending; slots: of these codes; other, missing: of all other codes,
    and of no code. A slot is the place among the column's inputs, NO_INPUT of the reference, the
    commonest of them: it has no input, and neither has what fewer than FEWEST_PATIENTS show.
    names: of the inputs, by slot. reference: what has none.
    """

    column: int
    codes: tuple[float, ...]
    slots: tuple[int, ...]
    other: int
    missing: int
    names: tuple[str, ...]
    reference: str


@dataclass(frozen=True)
class Inputs:
    """The order of a row's inputs: numeric, binary, missing indicators, then coded columns.

    numeric, binary, flagged: places of columns in the schema. names: of all inputs. notes:
    sentences about what the model makes no use of.
    """

    numeric: tuple[int, ...]
    binary: tuple[int, ...]
    flagged: tuple[int, ...]
    coded: tuple[Coded, ...]
    names: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def wide(self) -> bool:
        """Do rows keep codes, in place of an input a category?"""
        return sum(len(one.names) for one in self.coded) > WIDE


def inputs_of(
    schema: TableSchema, found: Tally, varies: Sequence[bool], missing_indicators: bool
) -> Inputs:
    """Of all hospitals' training rows. varies: of numeric columns, over all of them.

    Raises DataError where nothing is left to learn from, or codes cannot be told apart.
    """
    places = range(len(schema.columns))
    kinds = [column.kind for column in schema.columns]
    numeric = tuple(i for i in places if kinds[i] == "numeric" and varies[i])
    binary = tuple(i for i in places if kinds[i] == "binary" and _both(found.levels[i]))
    flagged = tuple(
        i
        for i in places
        if missing_indicators and kinds[i] != "categorical" and found.read[i]
        if found.missing[i] >= FEWEST_PATIENTS
    )
    every = [_coded(i, schema.columns[i], found) for i in places if kinds[i] == "categorical"]
    coded = tuple(one for one in every if one.names)
    names = (
        *(schema.columns[i].name for i in (*numeric, *binary)),
        *(f"{schema.columns[i].name} missing" for i in flagged),
        *(name for one in coded for name in one.names),
    )
    if not names:
        raise DataError(
            "no column varies among the training rows of any hospital: there is nothing to learn "
            "from; look at `wardround prepare`'s table of what was read"
        )
    used = {*numeric, *binary, *(one.column for one in coded)}
    notes = (
        *(_unused(schema.columns[i], found.read[i], i in flagged) for i in places if i not in used),
        *(note for one in every for note in _folded(schema.columns[one.column], one, found)),
        *_seldom_missing(schema, found),
    )
    return Inputs(numeric, binary, flagged, coded, names, notes)


def _both(levels: Sequence[int]) -> bool:
    return min(levels) >= FEWEST_PATIENTS


def _coded(place: int, column: Column, found: Tally) -> Coded:
    """The column's states that are common enough, the commonest of them without an input."""
    if len(np.unique(np.array(column.codes, dtype=np.float32))) < len(column.codes):
        raise DataError(
            f"column {column.name!r}: has codes that differ beyond 7 digits; name it in "
            "data.source.categorical, so that codes are texts, and run `wardround prepare`"
        )
    counts = dict(zip(column.codes, found.levels[place], strict=True))
    kept = _kept(column, counts)
    states: list[tuple[str, int]] = [(_label(column, code), counts[code]) for code in kept]
    others = sum(n for code, n in counts.items() if code not in kept)
    states += [(OTHER, others), ("missing", found.missing[place])]
    common = [i for i, (_, n) in enumerate(states) if n >= FEWEST_PATIENTS]
    reference = max(common, key=lambda i: (states[i][1], -i), default=None)
    slots = dict.fromkeys(range(len(states)), NO_INPUT)
    slots |= {i: slot for slot, i in enumerate(i for i in common if i != reference)}
    return Coded(
        column=place,
        codes=tuple(kept),
        slots=tuple(slots[i] for i in range(len(kept))),
        other=slots[len(kept)],
        missing=slots[len(kept) + 1],
        names=tuple(f"{column.name}={states[i][0]}" for i in slots if slots[i] != NO_INPUT),
        reference="" if reference is None else states[reference][0],
    )


def _kept(column: Column, counts: dict[float, int]) -> list[float]:
    """Codes that stand for themselves, ascending: enough patients have them, and, if the column
    says how many of them it wants, they are the commonest."""
    enough = [c for c, n in counts.items() if n >= FEWEST_PATIENTS and c != column.other]
    ranked = sorted(enough, key=lambda code: (-counts[code], code))
    return sorted(ranked[: column.most])


def _label(column: Column, code: float) -> str:
    """The text that stands for a code in the raw file, or the code."""
    return column.labels[column.codes.index(code)] if column.labels else f"{code:g}"


def _unused(column: Column, read: bool, flagged: bool) -> str:
    """Why a column is no input."""
    few = f"no hospital knows it of {FEWEST_PATIENTS} training patients"
    alike = "too few training patients differ in it" if column.codes else "it is constant"
    rest = ", only whether it is missing" if flagged else ""
    return f"column {column.name!r} is no input{rest}: {alike if read else few}"


def _folded(column: Column, coded: Coded, found: Tally) -> list[str]:
    """What becomes of categories that are too rare among training rows."""
    counts = zip(column.codes, found.levels[coded.column], strict=True)
    rare = [_label(column, c) for c, n in counts if n < FEWEST_PATIENTS and c != column.other]
    if not rare or not coded.names:
        return []
    more = f" and {len(rare) - _NAMED} more" if len(rare) > _NAMED else ""
    shown = ", ".join(map(repr, rare[:_NAMED])) + more
    reads = repr(OTHER) if coded.other != NO_INPUT else f"the commonest, {coded.reference!r}"
    return [
        f"column {column.name!r}: not surely {FEWEST_PATIENTS} training patients have {shown} (a "
        f"hospital with 1 to {FEWEST_PATIENTS - 1} says 1); read as {reads}; "
        f"inputs left: {len(coded.names)}"
    ]


def _seldom_missing(schema: TableSchema, found: Tally) -> list[str]:
    """Columns whose missing cells have no input of their own because there are so few."""
    pairs = zip(schema.columns, found.missing, strict=True)
    few = [column for column, n in pairs if 0 < n < FEWEST_PATIENTS]
    as_what = {"numeric": "the mean", "binary": "0", "categorical": "the commonest category"}
    return [
        f"column {column.name!r}: fewer than {FEWEST_PATIENTS} training patients have no value; it "
        f"reads as {as_what[column.kind]}"
        for column in few
    ]
