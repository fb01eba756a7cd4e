"""A hospital's records at its own site: made from what lies there now, and as the job says."""

import sys
from pathlib import Path

from federated.config import Config, DataConfig, load
from federated.errors import DataError, WardroundError
from tasks.made_from import differing, listed, read_made_from, settings
from tasks.workspace import ensure_data, workspace

PARAMS = "params.yaml"
OWN = frozenset({"dataset", "source", "hospitals", "leave_out", "min_rows", "small_hospitals"})
"""Keys of `data` that are the hospital's own business: what it reads, and how much is enough."""


def up_to_date(folder: Path, data: Path, config: Config) -> Path:
    """The hospital's folder `data`, made again where the site's own project makes it and its files
    or settings have changed. folder: of site.yaml; config: the job's.

    Raises DataError where it cannot be, or where its rows were cut otherwise than the job says.
    """
    if (folder / PARAMS).is_file():
        try:
            _make(folder, data)
        except WardroundError as error:
            _say(str(error))
            raise DataError(
                f"{data}: could not be made from the hospital's own files; what `wardround site "
                "join` wrote there says why"
            ) from None  # a reason may name a cell: it stays here
    _require_same_cut(data, config.data)
    return data


def _make(folder: Path, data: Path) -> None:
    """Make it again, if it is stale; one that was brought here from elsewhere is left alone."""
    own = load(folder / PARAMS)
    place = workspace(folder, own)
    if data.parent != place.hospitals.resolve():
        return
    names = ensure_data(place, own, _say)
    if data.name not in names:
        raise DataError(f"{data}: {PARAMS} makes no hospital {data.name!r}, but {listed(names)}")


def _require_same_cut(data: Path, job: DataConfig) -> None:
    """MLflow shows the job's settings: they must be those that the rows were cut with."""
    record = read_made_from(data)
    if record is None:
        raise DataError(f"{data}: nothing says how its rows were cut; {_again(data)}")
    keys = [
        f"data.{name}"
        for name in differing(record.settings, settings(job, "partition"))
        if name.partition(".")[0] not in OWN
    ]
    if keys:
        raise DataError(
            f"{data}: its rows were cut with another {listed(keys)} than the job says; agree on "
            f"one in {PARAMS}, then {_again(data)}"
        )


def _say(line: str) -> None:
    """To the people at the hospital alone: Prefect's log would leave it."""
    print(f"note: {line}", file=sys.stderr, flush=True)


def _again(data: Path) -> str:
    return f"run `wardround prepare` and `wardround partition --hospital {data.name}` again"
