"""Sentences about patients, or rows, that stand on two sides: of a split, or of two hospitals."""

from federated.duplicates import Hashes, copies
from federated.schema import Coverage
from federated.split import TEST, VALIDATION, Codes


def split_notes(one: Coverage, hashes: Hashes, codes: Codes) -> tuple[str, ...]:
    """About rows that are the same in every cell, and have two uses. hashes: of each row."""
    test, validation = copies(hashes, codes)
    sides = [
        (test, TEST, "test", "train or validate"),
        (validation, VALIDATION, "validation", "train"),
    ]
    advice = "they are copies, to be removed, or other patients who are alike, to be left"
    if one.patients is None:
        advice += (
            ", or, if these are patients with several rows, name their column in "
            "data.source.patient (of a table)"
        )
    return tuple(
        f"{one.hospital}: of {int((codes == code).sum())} {kind} rows {count} found again, the "
        f"same in every cell, among the rows that {others}; {advice}"
        for count, code, kind, others in sides
        if count
    )


def clustered(one: Coverage) -> tuple[str, ...]:
    """A sentence about a hospital whose patients have several rows."""
    if one.patients is None or one.patients == one.kept:
        return ()
    return (
        f"{one.hospital}: its {one.kept} rows are of {one.patients} patients; metrics count rows, "
        "and intervals take each for a patient of its own, so they are too narrow",
    )


def shared_note(one: Coverage, count: int) -> str:
    """About keys of a hospital that other hospitals have too: patients, or else whole rows."""
    if one.patients is not None:
        return (
            f"{one.hospital}: {count} of its {one.patients} patient ids stand at other hospitals "
            "too: if they are the same people, they may train at one hospital and test at another"
        )
    return (
        f"{one.hospital}: {count} of its rows stand at other hospitals too, the same in every "
        "cell: if they are the same patients, and not others who are alike, they may train at one "
        "hospital and test at another"
    )
