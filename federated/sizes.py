"""Hospitals with too few rows, or patients where the data name them, to take part."""

from collections.abc import Sequence

from federated.errors import DataError
from federated.schema import Coverage


def too_small(found: Sequence[Coverage], least: int) -> list[str]:
    """Names of the hospitals with fewer than `least` usable rows, or patients."""
    return [one.hospital for one in found if _size(one) < least]


def require(found: Sequence[Coverage], least: int) -> None:
    """Raise DataError, with counts and reasons, naming every hospital that is too small."""
    names = too_small(found, least)
    if not names:
        return
    lines = [_line(one, least) for one in found if one.hospital in names]
    raise DataError(
        "\n".join(lines) + "\nMend or add rows, lower data.min_rows, leave out hospitals "
        f"(data.leave_out: [{', '.join(names)}], or data.small_hospitals: leave_out), or give each "
        "more rows (data.partition)"
    )


def _size(one: Coverage) -> int:
    return one.kept if one.patients is None else one.patients


def _line(one: Coverage, least: int) -> str:
    reasons = "; ".join(f"{why} ({count})" for why, count in one.quarantined.items())
    whose = "" if one.patients is None else f" and are of {one.patients} patients"
    return (
        f"hospital {one.hospital!r}: {one.kept} of {one.rows} rows are usable{whose}, "
        f"data.min_rows asks for {least}; rows set aside: {reasons or 'none'}"
    )
