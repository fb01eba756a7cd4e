"""Whose a row is and when it was: columns that a split goes by, and that are no features."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from federated.datasets._times import TimeSplit, times_of
from federated.errors import DataError
from federated.texts import as_text

if TYPE_CHECKING:
    import pandas as pd

    Series = pd.Series[Any]

_PEOPLE = "patient(en|e|s)?|paciente|pat|subject|subj|person|participant|proband|case|client"
_NUMBER = "ids?|no|nr|num|number|nummer|numero|code|key|identifier|index"
_PATIENT = re.compile(f"({_PEOPLE})({_NUMBER})?|(medical)?record({_NUMBER})|id|pid|mrn|nhsnumber")
_FEWEST = 10
"""A column of fewer different values says something about a patient, not who it is."""
_SHOWN = 5


@dataclass(frozen=True)
class Units:
    """patients, times: of each row, where they are asked for. columns: no features. notes."""

    patients: pd.Series[str] | None
    times: pd.Series[int] | None
    columns: tuple[str, ...]
    notes: tuple[str, ...]


def units(
    frame: pd.DataFrame,
    patient: str | None,
    split: TimeSplit | None,
    declared: Collection[str],
    roles: Collection[str | None],
    hospitals: Series | None,
    where: str,
) -> Units:
    """declared: columns that are features whatever they look like. roles: those that have another
    use. hospitals: of each row, if known.

    Raises DataError for a row without a patient, or without a time to split by.
    """
    times = times_of(frame[split.by], split, where) if split is not None else None
    columns = [split.by] if split is not None and split.by not in declared else []
    if patient is not None:
        return Units(_patients(frame[patient], where), times, (*columns, patient), ())
    alike = [str(n) for n in frame.columns if n not in roles and _repeats(frame[n])]
    notes = tuple(_note(frame[name], hospitals, used=name in declared) for name in alike)
    return Units(None, times, (*columns, *(n for n in alike if n not in declared)), notes)


def _patients(cells: Series, where: str) -> pd.Series[str]:
    """The patient of each row. Raises DataError for rows that name none."""
    missing = [str(row) for row in cells.index[cells.isna()]]
    if missing:
        more = ", …" if len(missing) > _SHOWN else ""
        raise DataError(
            f"{where}: {len(missing)} rows have no patient in column {str(cells.name)!r} (row "
            f"number {', '.join(missing[:_SHOWN])}{more}); fill it in, remove them, or leave out "
            "data.source.patient"
        )
    return as_text(cells)


def _repeats(cells: Series) -> bool:
    """Is it called as patients' ids are, and do many of its values come more than once?"""
    name = re.sub(r"[^a-z]", "", str(cells.name).lower())
    known = cells.dropna()
    return bool(_PATIENT.fullmatch(name)) and _FEWEST <= known.nunique() < len(known)


def _note(cells: Series, hospitals: Series | None, *, used: bool) -> str:
    """Without counts: one more row changes no other hospital's files."""
    several = hospitals is not None and hospitals.groupby(cells).nunique().max() > 1
    repeats = "repeats, also from hospital to hospital" if several else "repeats"
    use = "is a feature all the same" if used else "is not used"
    return (
        f"column {cells.name!r} looks like a patient's id and {repeats}: it {use}, and rows of one "
        "patient may stand on both sides of a split; name it in data.source.patient to keep them "
        "together"
    )
