"""`wardround study` and `wardround compare`: running a study, and showing what came of it."""

import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console, Group, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from federated.contrast import Contrast, SeedResult, contrast
from federated.study import read_study
from tasks.contrast_page import PAGE, write_page
from tasks.contrast_table import contrast_table
from tasks.lasting import lasting
from tasks.published_table import published_table
from tasks.study_plan import STUDIES, STUDY_FILE, Plan, plan, read_plan_of
from tasks.study_results import finished, write_tables
from wardround.folders import require_writable

if TYPE_CHECKING:
    from flows.study import Finished


def run(file: Path, project: Path, jobs: int, *, again: bool) -> tuple[Plan, list[str]]:
    """Run what a study file asks for and write its tables; (the plan, what failed, in words).

    Raises ConfigError, naming file and key, before anything runs.
    """
    planned = plan(read_study(file), file, project, again=again)
    for folder in (planned.folder, lasting(project) / "mlruns", project / ".prefect"):
        require_writable(folder)
    from flows.study import run_study  # brings Prefect's server, which reading needs not

    with StudyProgress(planned) as progress:
        failed = run_study(planned, jobs, progress.ended)
    study, runs = read_plan_of(planned.folder)
    results = finished(planned.folder, study, runs)
    if results:
        write_tables(planned.folder, results)
    return planned, [f"{one.planned.run.label}: {one.error}" for one in failed]


def show_study(
    folder: Path, reference: str | None, out: Path | None, columns: Sequence[str] = ()
) -> RenderableType:
    """Compare the finished runs of the study in `folder`; writes compare.html there or to `out`.

    columns: what is compared in place of the study's metrics.
    """
    study, runs = read_plan_of(folder)
    results = finished(folder, study, runs)
    found = contrast(results, columns or study.metrics, reference or study.reference)
    missing = len(runs) - sum(len(seeds) for seeds in found.seeds.values())
    subtitle = f"{len(found.settings)} settings, {len(study.seeds)} seeds"
    subtitle += f"; {missing} runs are not finished" if missing else ""
    shown = _show(found, study.name, subtitle, out or folder / PAGE)
    return Group(shown, published_table(results, study.published)) if study.published else shown


def show_runs(
    results: Sequence[SeedResult], columns: Sequence[str], reference: str | None, out: Path
) -> RenderableType:
    """Compare runs that MLflow knows; writes the page to `out`."""
    found = contrast(results, columns, reference)
    runs = sum(len(seeds) for seeds in found.seeds.values())
    return _show(found, "Comparison", f"{runs} runs of {len(found.settings)} settings", out)


def study_folder(name: str, project: Path) -> Path | None:
    """The folder of a study that was run: given as a folder, by name, or by its file."""
    places = [Path(name), project / STUDIES / name]
    if Path(name).suffix in (".yaml", ".yml") and Path(name).is_file():
        places.append(project / STUDIES / read_study(Path(name)).name)
    return next((place for place in places if (place / STUDY_FILE).is_file()), None)


def _show(found: Contrast, title: str, subtitle: str, out: Path) -> RenderableType:
    write_page(out, found, title, subtitle)
    return contrast_table(found, title)


class StudyProgress:
    """Runs done and under way: a live bar on a terminal, a line a run elsewhere."""

    def __init__(self, planned: Plan) -> None:
        self._total = len(planned.runs)
        self._done = sum(one.done is not None for one in planned.runs)
        self._console = Console(stderr=True)
        if self._done:
            self._console.print(f"{self._done} of {self._total} runs are done already")
        columns = (TextColumn("[bold]{task.description}"), BarColumn(bar_width=None))
        self._live = Progress(
            *columns,
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self._console,
            disable=not sys.stderr.isatty(),
        )
        self._bar = self._live.add_task(planned.study.name, total=self._total, completed=self._done)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def ended(self, one: "Finished") -> None:
        """A run ended."""
        self._done += 1
        how = "failed" if one.seconds is None else f"{one.seconds:.1f} s"
        text = f"{self._done}/{self._total} {one.planned.run.label}: {how}"
        self._console.print(text, markup=False, highlight=False)
        self._live.update(self._bar, completed=self._done)


def tracked(
    wanted: Sequence[str], experiment: str | None, columns: Sequence[str], project: Path
) -> list[SeedResult]:
    """Runs by id or name from this project's MLflow. Raises WardroundError for unknown ones."""
    from federated.config import load
    from tasks.lineage import tracking_uri
    from tasks.tracked_runs import tracked_results

    params = project / "params.yaml"
    configured = load(params).run.tracking_uri if params.is_file() else None
    return tracked_results(tracking_uri(configured, project), wanted, experiment, columns)
