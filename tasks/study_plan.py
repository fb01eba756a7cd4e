"""What a study has to run, and what of it is done already.

A run counts as done if its folder holds the results of the same settings, data, version and code:
`run.json` names both digests, and is written after everything else.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from federated.config import Config, load
from federated.errors import ConfigError, WardroundError
from federated.study import Study, StudyRun, runs, variants
from tasks.files import write_atomic
from tasks.job import Job, load_job
from tasks.report_files import RESULTS, ROUNDS
from tasks.study_code import code_digest

STUDIES = Path("reports") / "studies"
RUN_FILE, STUDY_FILE = "run.json", "study.json"


@dataclass(frozen=True)
class Identity:
    """What makes a run this very run."""

    fingerprint: str
    code: str


@dataclass(frozen=True)
class Done:
    """run.json: a finished run; seconds of the command that finished it."""

    identity: Identity
    seconds: float


@dataclass(frozen=True)
class PlannedRun:
    """A run of the study with its folder; done: None while it is to be run."""

    run: StudyRun
    folder: Path
    identity: Identity
    done: Done | None


@dataclass(frozen=True)
class Plan:
    """A study over a project; params is a path inside the project or an absolute one."""

    study: Study
    project: Path
    params: Path
    folder: Path
    tracking_uri: str
    runs: tuple[PlannedRun, ...]


def plan(study: Study, file: Path, project: Path, *, again: bool = False) -> Plan:
    """Check every run's settings, make the data, and look what is done; again: nothing is.

    Raises ConfigError, naming the setting, before anything runs; DataError for faulty data.
    """
    params = (file.parent / study.params).resolve() if study.params else project / "params.yaml"
    folder = project / STUDIES / study.name
    jobs: dict[str, Job] = {}
    planned = []
    for run in runs(study):
        config = _config(params, run)
        job = replace(_job(jobs, config, project), config=config)
        identity = Identity(job.fingerprint, code_digest(config))
        place = folder / run.folder
        done = None if again else _done(place, identity)
        planned.append(PlannedRun(run, place, identity, done))
    return Plan(study, project, params, folder, job.tracking_uri, tuple(planned))


def write_done(folder: Path, done: Done) -> None:
    """Note in a run's folder that its results are whole."""
    write_atomic(folder / RUN_FILE, (json.dumps(asdict(done), indent=2) + "\n").encode())


def read_done(folder: Path) -> Done | None:
    """What was noted, or None; also where the note is damaged: the run is simply done again."""
    try:
        values = json.loads((folder / RUN_FILE).read_text(encoding="utf-8"))
        return Done(Identity(**values["identity"]), float(values["seconds"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_study(plan: Plan) -> None:
    """study.json: the study as it was read, so that its folder can be compared without the file."""
    text = json.dumps(plan.study.model_dump(mode="json"), indent=2, ensure_ascii=False)
    write_atomic(plan.folder / STUDY_FILE, (text + "\n").encode())


def read_plan_of(folder: Path) -> tuple[Study, Sequence[StudyRun]]:
    """The study whose results lie in `folder`, and its runs setting by setting.

    Raises WardroundError if there is none.
    """
    path = folder / STUDY_FILE
    try:
        study = Study.model_validate_json(path.read_text(encoding="utf-8"))
    except OSError:
        raise WardroundError(f"{path}: no such file; run `wardround study FILE` first") from None
    except ValueError as error:
        raise WardroundError(f"{path}: not readable ({error}); run the study again") from None
    order = {name: i for i, name in enumerate(variants(study))}
    return study, sorted(runs(study), key=lambda run: order[run.setting])


def _config(params: Path, run: StudyRun) -> Config:
    try:
        return load(params, run.overrides)
    except ConfigError as error:
        raise ConfigError(f"setting {run.setting!r}: {error}") from None


def _job(jobs: dict[str, Job], config: Config, project: Path) -> Job:
    """The data of a configuration, made and loaded once for all runs that share them."""
    key = config.data.model_dump_json()
    if key not in jobs:
        jobs[key] = load_job(config, project)
    return jobs[key]


def _done(folder: Path, identity: Identity) -> Done | None:
    found = read_done(folder)
    whole = all((folder / name).is_file() for name in (RESULTS, ROUNDS))
    return found if found is not None and found.identity == identity and whole else None
