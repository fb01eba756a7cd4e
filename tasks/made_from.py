"""What prepared and partitioned data were made from: a record beside them, and what has changed.

`made_from.json` holds the settings that count for the step, the MD5 of every file that it read and
a digest of the code that read it: no time and no place, so that a step run again writes the same
bytes. It is emptied before anything else is written, and written last: half a step leaves none.
"""

import hashlib
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from pydantic import JsonValue

from federated.config import DataConfig
from federated.schema import Record
from federated.weights import digest_json
from tasks.hospital_files import SCHEMA
from tasks.lineage import dotted
from tasks.versions import md5

MADE_FROM = "made_from.json"
Step = Literal["prepare", "partition"]

FITTED_ON_LOADING = frozenset({"scaling", "missing_indicators"})
"""Keys of `data` that no record depends on: they are fitted when records are loaded."""
NO_EFFECT: Mapping[Step, frozenset[str]] = {
    "prepare": FITTED_ON_LOADING | {"test_fraction", "validation_fraction", "seed"},
    # a hospital's own folder depends on no other hospital's name
    "partition": FITTED_ON_LOADING | {"hospitals", "leave_out"},
}
"""Keys of `data` that a step makes no use of. Any other key counts, a new one too; dvc.yaml has the
same keys."""
CODE: Mapping[Step, tuple[str, ...]] = {
    "prepare": (
        *("federated.datasets", "federated.cells", "federated.cell_rules", "federated.validation"),
        *("federated.schema", "federated.records", "federated.objectives", "federated.sizes"),
        *("federated.patients", "federated.duplicates", "tasks.preparation", "tasks.groups"),
        *("federated.texts", "federated.faults", "tasks.leaks", "tasks.hospital_files"),
    ),
    "partition": (
        *("federated.partition", "federated.split", "federated.validation", "federated.schema"),
        *("federated.records", "federated.objectives", "federated.sizes", "federated.patients"),
        *("federated.time_split", "federated.duplicates", "tasks.partitioning", "tasks.splitting"),
        *("tasks.groups", "tasks.leaks", "tasks.coverage", "tasks.hospital_files"),
    ),
}
"""Modules and packages whose code a step's output depends on; dvc.yaml has the same files."""


class MadeFrom(Record):
    """made_from.json. settings: dotted key of `data` → value; files: name → MD5, of prepared ones
    relative to their folder, None for one that was not there.

    together: digest of the names that a partition made up, of which none may be missing.
    """

    settings: dict[str, JsonValue]
    files: dict[str, str | None]
    code: str
    together: str = ""


def of_prepare(data: DataConfig, project: Path) -> MadeFrom:
    """What `prepare` would make its tables from now."""
    files = {name: _md5(project / name) for name in data.reader.files}
    return MadeFrom(settings=settings(data, "prepare"), files=files, code=code_digest("prepare"))


def of_partition(
    data: DataConfig, prepared: Path, hospitals: Sequence[str], groups: Sequence[str]
) -> dict[str, MadeFrom]:
    """hospital → what `partition` would make it from now: a natural one from its own rows alone,
    one that the partition makes up from those of all `groups`. hospitals: all of the partition."""
    values, code = settings(data, "partition"), code_digest("partition")

    def reading(names: Sequence[str], together: str = "") -> MadeFrom:
        found = _prepared_files(prepared, names)
        return MadeFrom(settings=values, files=found, code=code, together=together)

    if data.partition["name"] == "natural":
        return {hospital: reading([hospital]) for hospital in hospitals}
    return dict.fromkeys(hospitals, reading(groups, digest_json(sorted(hospitals))))


def _prepared_files(prepared: Path, groups: Sequence[str]) -> dict[str, str | None]:
    """MD5 of every file that a partition of these groups reads, by its name below `prepared`."""
    paths = [path for name in groups for path in (prepared / name).glob("[!.]*")]
    paths.append(prepared / SCHEMA)
    return {path.relative_to(prepared).as_posix(): _md5(path) for path in sorted(paths)}


def settings(data: DataConfig, step: Step) -> dict[str, JsonValue]:
    """The settings that count for a step: dotted key of `data` → value."""
    return dotted(data.model_dump(mode="json", exclude=set(NO_EFFECT[step])))


def read_made_from(folder: Path) -> MadeFrom | None:
    """The record in a folder; None where there is none, or a damaged one: made again, it is new."""
    try:
        return MadeFrom.model_validate_json((folder / MADE_FROM).read_bytes())
    except (OSError, ValueError):
        return None


def changed(then: MadeFrom | None, now: MadeFrom) -> str:
    """What differs, in words: keys, files, code. Empty if nothing does."""
    if then is None:
        return "nothing says what they were made from"
    keys = [f"data.{name}" for name in differing(then.settings, now.settings)]
    files = differing(then.files, now.files)
    others = ["the code that makes them"] if then.code != now.code else []
    others += ["the hospitals"] if then.together != now.together else []
    names = [*keys, *files, *others]
    return f"{listed(names)} changed" if names else ""


def differing(then: Mapping[str, JsonValue], now: Mapping[str, JsonValue]) -> list[str]:
    """Names that only one of both has, or that stand for another value."""
    return [
        name
        for name in sorted(then.keys() | now.keys())
        if name not in then or name not in now or then[name] != now[name]
    ]


def listed(names: Sequence[str], most: int = 3) -> str:
    """The first names, and how many more there are."""
    more = [f"{len(names) - most} more"] if len(names) > most else []
    return ", ".join([*names[:most], *more])


def code_digest(step: Step) -> str:
    """Digest of the step's modules, by name and content."""
    whole = hashlib.sha256()
    for name in CODE[step]:
        for path in code_files(name):
            whole.update(f"{name}/{path.name}:{md5(path)}\n".encode())
    return whole.hexdigest()


def code_files(name: str) -> list[Path]:
    """The source files of a module, or of a package of modules."""
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(name)
    folders = spec.submodule_search_locations
    if folders is None:
        return [Path(spec.origin)]
    return sorted(path for folder in folders for path in Path(folder).glob("*.py"))


def _md5(path: Path) -> str | None:
    return md5(path) if path.is_file() else None
