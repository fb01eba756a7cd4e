"""The project that outlives a run: `dvc exp run --temp` and `--queue` work in copies of it.

DVC copies a project to `.dvc/tmp/exps/…` below it, runs the stages there, keeps their outputs and
removes the copy. Journals and MLflow are no outputs: they belong into the project itself.
"""

from pathlib import Path

_COPIES = (".dvc", "tmp", "exps")


def lasting(project: Path) -> Path:
    """The project that DVC copied this one from, or itself."""
    for place in project.resolve().parents:
        if place.parts[-3:] == _COPIES:
            return place.parents[2]
    return project
