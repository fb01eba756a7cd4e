"""What is to be predicted, out of a raw table: classes in order, events and labels as 0 and 1."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from federated.errors import DataError
from federated.texts import as_text, code_text, is_plain_number, number, same_numbers

if TYPE_CHECKING:
    import pandas as pd

    Series = pd.Series[Any]

MAX_CLASSES = 50
"""A target of more different texts is refused."""
_EVENTS = (
    "died, dead, death, deceased, yes, y, true, t, positive, pos, +, case, event, present, "
    "disease, diseased, ill, sick, malignant, abnormal, relapse, relapsed, recurrence, "
    "readmitted, failed, failure"
)
_OPPOSITES = (
    "survived, survivor, alive, living, lived, no, n, false, f, negative, neg, -, control, none, "
    "absent, healthy, well, benign, normal, censored, discharged, no event, no disease, "
    "not readmitted"
)
EVENTS, OPPOSITES = frozenset(_EVENTS.split(", ")), frozenset(_OPPOSITES.split(", "))
"""Texts that name an event, and that there was none, in any case of letters."""
_RARE = 0.01
"""Beside two classes, others of a smaller share of the rows are likely mistakes."""
_SHOWN = 6


@dataclass(frozen=True)
class Classes:
    """cells: the target's, in the classes' spelling. names: of two, the second is the event."""

    cells: Series
    names: tuple[str, ...]
    notes: tuple[str, ...] = ()


def in_spelling(cells: Series, names: Sequence[str]) -> Series:
    """Cells in the spelling of known classes: 0.0 is `0` where all classes are numbers."""
    texts = as_text(cells)
    if not all(is_plain_number(name) for name in names):
        return texts
    spelt = {code_text(name): name for name in names}

    def spelled(text: str) -> str:
        return spelt.get(code_text(text), text)

    return texts.map(spelled, na_action="ignore").astype("str")


def classes(cells: Series, given: Sequence[str], positive: str | None, where: str) -> Classes:
    """A target's classes: those that are given, in their order, or all of its texts.

    positive: of two, the event. Raises DataError for texts that are hardly classes, and for two of
    which nobody can know which is the event.
    """
    name = str(cells.name)
    texts = in_spelling(cells, given) if given else same_numbers(cells)
    counts = Counter(texts.dropna())
    names = tuple(given) or _names(counts, name, where)
    if positive is None and len(names) > 2:
        shown = ", ".join(f"{text} {counts[text]}" for text in names[:_SHOWN])
        return Classes(texts, names, (f"target {name!r} has {len(names)} classes: {shown}",))
    inferred = names[1] if given else event_of(names)
    event = inferred if positive is None else _named(positive, names, name)
    if event is None:
        raise DataError(
            f"{where}: target {name!r} holds {names[0]!r} and {names[1]!r}; name the event, such "
            "as a death, in data.source.positive"
        )
    said = f"target {name!r}: the event is {event!r}, in {counts[event]} of {counts.total()} rows"
    plain = bool(positive or given or names == ("0", "1"))
    ordered = tuple(sorted(names, key=lambda text: text == event))
    return Classes(texts, ordered, () if plain else (f"{said} (data.source.positive)",))


def event_of(names: Sequence[str]) -> str | None:
    """Which of two texts names the event, as far as EVENTS and OPPOSITES tell; of 0 and 1, 1."""
    if list(names) == ["0", "1"]:
        return "1"
    events = [name for name in names if name.casefold() in EVENTS]
    opposites = [name for name in names if name.casefold() in OPPOSITES]
    telling = [name for name in (*events, *opposites) if len(name) > 2]  # F is no or female
    if len(events) == 1 and (telling or opposites):
        return events[0]
    if len(opposites) == 1 and not events and telling:
        return next(name for name in names if name not in opposites)
    return None


def flag(
    cells: Series, event: str | None, key: str, where: str, *, whole: bool
) -> tuple[Series, tuple[str, ...]]:
    """A yes/no column as texts 1 and 0, and notes; what is neither stays as it is.

    event: what stands for 1; every other code is then 0. key: where it is named in params.yaml.
    whole: are these all hospitals' rows, among which the event must occur? Raises DataError if it
    does not, and for codes that do not say which of them is the event.
    """
    name = str(cells.name)
    texts = same_numbers(cells).str.casefold()
    counts = Counter(texts.dropna())
    codes = sorted(counts)
    if event is not None:
        wanted = code_text(event).casefold()
        if whole and not counts[wanted]:
            raise DataError(
                f"{where}: column {name!r} never holds {event!r} ({key}), but {_shown(counts)}"
            )
        others = {code: rows for code, rows in counts.items() if code != wanted}
        note = f"column {name!r}: no event are {_shown(others)} ({key})"
        return _as_flags(texts, wanted), (note,) if len(others) > 1 else ()
    if {"0", "1"} >= set(codes) or {"0", "1"} <= set(codes):
        note = f"column {name!r}: every known row holds 1, an event ({key})"
        return texts, (note,) if codes == ["1"] else ()
    chosen = event_of(codes) if len(codes) == 2 else None
    if len(codes) == 1 and codes[0] in EVENTS | OPPOSITES:
        chosen = codes[0] if codes[0] in EVENTS else ""
    if chosen is None:
        raise DataError(
            f"{where}: column {name!r} holds {_shown(counts)}; which is the event? Name it in {key}"
        )
    note = (
        f"column {name!r}: {chosen or 'nothing'!r} is the event, in {counts[chosen]} rows ({key})"
    )
    return _as_flags(texts, chosen), (note,)


def _as_flags(texts: Series, event: str) -> Series:
    return texts.eq(event).map({True: "1", False: "0"}).astype("str").where(texts.notna())


def _shown(counts: Mapping[str, int]) -> str:
    """Codes and their rows, the first of them."""
    return ", ".join(f"{code!r} ({counts[code]} rows)" for code in sorted(counts)[:_SHOWN])


def _names(counts: Counter[str], name: str, where: str) -> tuple[str, ...]:
    """A target's texts, by number if they are numbers, else by alphabet."""
    numbers = {text: value for text in counts if (value := number(text)) is not None}
    if not 1 < len(counts) <= MAX_CLASSES:
        are_numbers = len(numbers) == len(counts) > 2
        raise DataError(
            f"{where}: target {name!r} has {len(counts)} different values, 2 to {MAX_CLASSES} can "
            f"be classes{'; of numbers, say data.source.target_kind: value' if are_numbers else ''}"
        )
    if doubtful := _doubtful(counts, numbers):
        shown = _shown({text: counts[text] for text in doubtful})
        raise DataError(
            f"{where}: target {name!r} has {len(counts)} different values; are they all classes? "
            f"{shown}. List the classes in data.source.classes, and what means missing in "
            "data.source.missing, or mend the file"
        )
    return tuple(sorted(counts, key=numbers.__getitem__) if numbers else sorted(counts))


def _doubtful(counts: Counter[str], numbers: Mapping[str, float]) -> list[str]:
    """Texts that may be a mistake instead of a class of their own.

    That is two which differ in capitals alone, a text among numbers, one of three texts or more,
    and of three numbers or more those that are rare, or all unless they count up from 0 or 1.
    """
    texts = sorted(counts)
    spelt = Counter(text.casefold() for text in texts)
    if alike := [text for text in texts if spelt[text.casefold()] > 1]:
        return alike
    if len(numbers) < len(counts):
        return [t for t in texts if t not in numbers] if numbers else texts * (len(counts) > 2)
    values = sorted(numbers.values())
    if len(values) > 2 and values not in [[k + i for i in range(len(values))] for k in (0, 1)]:
        return texts
    rest = [text for text, _ in counts.most_common()[2:]]
    return rest if sum(counts[text] for text in rest) < _RARE * counts.total() else []


def _named(positive: str, names: Sequence[str], target: str) -> str:
    """The class that `positive` names. Raises DataError if it is none, or one of more than two."""
    event = next(
        (name for name in names if code_text(name).casefold() == code_text(positive).casefold()),
        None,
    )
    if event is None or len(names) != 2:
        raise DataError(
            f"data.source.positive: {positive!r} is not one of two classes; target {target!r} has "
            f"{', '.join(map(repr, names[:_SHOWN]))}"
        )
    return event
