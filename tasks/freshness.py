"""Are the hospitals' folders what the data section and the source files give now?"""

from pathlib import Path

from federated.config import DataConfig
from tasks.hospital_files import COVERAGE, folders_in
from tasks.made_from import changed, listed, of_partition, of_prepare, read_made_from

NOTHING = "nothing made yet"


def stale(data: DataConfig, project: Path, prepared: Path, hospitals: Path) -> str:
    """Why not: the key, the file or the hospital, in words. Empty if they are.

    A hospital's own folder is held against the prepared one, and that against the source files.
    """
    if not prepared.is_dir() and not hospitals.is_dir():
        return NOTHING
    why = changed(read_made_from(prepared), of_prepare(data, project))
    if why:
        return why
    groups, names = folders_in(prepared), wanted(data, prepared, hospitals)
    missing = [name for name in names if not (hospitals / name / COVERAGE).is_file()]
    if missing or not names:
        return f"hospitals not made yet: {listed(missing)}" if missing else NOTHING
    for name, now in of_partition(data, prepared, names, groups).items():
        why = changed(read_made_from(hospitals / name), now)
        if why:
            return f"{name}: {why}"
    return ""


def wanted(data: DataConfig, prepared: Path, hospitals: Path) -> list[str]:
    """The hospitals that take part: those of the prepared rows, or, where the partition makes them
    up, all that it made. A folder of one that is no more is none."""
    natural = data.partition["name"] == "natural"
    return folders_in(prepared if natural else hospitals)
