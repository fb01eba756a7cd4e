"""What each row of a hospital is for: by chance or by time, and never one patient on two sides."""

import numpy as np
from numpy.typing import NDArray

from federated.config import DataConfig
from federated.objectives import Objective
from federated.patients import Ints, highest, owners
from federated.split import TEST, TRAIN, Codes, split
from federated.time_split import split_by_time


def codes_of(
    data: DataConfig,
    hospital: str,
    strata: Ints,
    published: Codes | None,
    patients: Ints | None,
    times: Ints | None,
) -> Codes:
    """Codes of `federated.split`, uint8 [n]; a function of the arguments alone.

    strata, patients, times: int64 [n]. A patient counts once: by the highest stratum of their rows
    (any event), or the time of the latest. Raises DataError for rows that cannot be split.
    """
    owner = np.arange(len(strata)) if patients is None else owners(patients)
    if times is not None:
        latest = highest(times, owner)
        units = split_by_time(hospital, latest, data.test_fraction, data.validation_fraction)
    else:
        units = split(
            hospital,
            highest(strata, owner),
            data.test_fraction,
            data.validation_fraction,
            data.seed,
            published,
        )
    return units[owner]


def time_notes(
    hospital: str, targets: NDArray[np.generic], codes: Codes, objective: Objective
) -> tuple[str, ...]:
    """Sentences about a split by time, and outcomes that it leaves on one side alone."""
    known = {name for name, count in objective.tally(targets).items() if count}
    notes = [f"{hospital}: split by time, its test rows are the latest (data.source.split)"]
    for code, kind in ((TRAIN, "training"), (TEST, "test")):
        side = objective.tally(targets[codes == code])
        absent = sorted(name for name in known if not side.get(name))
        if absent:
            names = ", ".join(absent)
            notes.append(f"{hospital}: split by time, none of its {kind} rows is of: {names}")
    return tuple(notes)
