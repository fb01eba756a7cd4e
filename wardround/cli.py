"""`wardround`: the commands. Heavy libraries are imported by the command that needs them."""

import atexit
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from federated.errors import ConfigError, WardroundError
from tasks.environment import hush, prepare_environment
from tasks.stopping import Stopped, stoppable
from wardround.sites import audit, roster, site
from wardround.terminal import settle_encoding, take_over

app = typer.Typer(
    help="Federated learning for hospitals: no patient's record leaves its hospital.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

for group, name in ((site, "site"), (roster, "roster"), (audit, "audit")):
    app.add_typer(group, name=name)

Params = Annotated[Path, typer.Option("--params", help="Configuration file.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Override a key of params.yaml."),
]
Out = Annotated[Path, typer.Option("--out", help="Folder of the reports.")]
PARAMS, OUT, PREDICTIONS = Path("params.yaml"), Path("reports"), Path("predictions.csv")
_REFUSED = 20  # cells that are named
_UNBOUNDED = 10_000  # columns


def command() -> None:
    """The console's `wardround`: `main`, and then an end without taking every module apart, which
    takes two seconds after a training. Threads are joined and exit handlers run as ever."""
    settle_encoding()
    take_over()
    code: int | None = None

    def leave() -> None:
        if code is not None:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    atexit.register(leave)  # the first of all, so it runs last
    try:
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else None
        raise


def main() -> None:
    """Run the command line; a user's fault is one message and exit code 1, not a traceback."""
    prepare_environment(Path.cwd())
    try:
        with stoppable():
            app()
    except Stopped as stop:
        typer.secho(f"wardround: ended by {stop.name}", fg=typer.colors.RED, err=True)
        raise
    except WardroundError as error:
        typer.secho(f"wardround: {error}", fg=typer.colors.RED, err=True)
        sys.exit(1)


def _in_project(params: Path = PARAMS) -> None:
    """Raise ConfigError where there is no project, before anything is made there."""
    if params == PARAMS and not params.is_file():
        raise ConfigError(
            f"no {params} here ({Path.cwd()}): go to the project's folder, or name the file with "
            "--params"
        )


@app.command()
def train(
    params: Params = PARAMS,
    overrides: Set = None,
    out: Out = OUT,
    report: Annotated[bool, typer.Option(help="Print the table and write report.html.")] = True,
    verbose: Annotated[bool, typer.Option(help="Show Prefect's log.")] = False,
) -> None:
    """Train over all hospitals; goes on where a killed run of the same settings left off."""
    from wardround.training import begun_server, run_training

    _in_project(params)
    server = begun_server(params, verbose=verbose)
    from federated.config import load

    config = load(params, overrides or [])
    for key in config.unused():
        typer.secho(f"note: {key} has no effect on {config.algorithm.name}", err=True, dim=True)
    results = run_training(params, overrides or [], out, report, server)
    from tasks.report_files import REPORT

    if report:
        _show(results)
        typer.echo(f"report: {out / REPORT}")


@app.command()
def prepare(params: Params = PARAMS, overrides: Set = None) -> None:
    """Turn raw data into a canonical table with a declared schema."""
    _in_project(params)
    from federated.config import load
    from federated.schema import TableSchema
    from tasks import preparation
    from tasks.columns import column_table
    from tasks.coverage import coverage_table, notes
    from tasks.hospital_files import read_schema, remove_stale
    from tasks.pipeline import require_listed, require_stages
    from tasks.workspace import workspace

    config = load(params, overrides or [])
    place = workspace(Path.cwd(), config)
    require_listed(place.project, config.data)
    found = preparation.prepare(config.data, place.project, place.prepared)
    if config.data.partition["name"] == "natural":
        names = [one.hospital for one in found]
        remove_stale(place.hospitals, names)
        require_stages(config.data, names)
    schema = read_schema(place.prepared, "prepare")
    if isinstance(schema, TableSchema):
        _print(column_table(schema))
    _print(coverage_table(found))
    for note in notes(found):
        typer.echo(f"note: {note}")


@app.command()
def partition(
    hospital: Annotated[str | None, typer.Option(help="Only this hospital.")] = None,
    params: Params = PARAMS,
    overrides: Set = None,
) -> None:
    """Write one folder per hospital, split into training and test rows."""
    _in_project(params)
    from federated.config import load
    from tasks import preparation
    from tasks.workspace import workspace

    config = load(params, overrides or [])
    place = workspace(Path.cwd(), config)
    for name in preparation.partition(config.data, place.prepared, place.hospitals, hospital):
        typer.echo(f"{place.hospitals.relative_to(place.project) / name}")


@app.command()
def report(
    out: Out = OUT, show: Annotated[bool, typer.Option("--table/--no-table")] = True
) -> None:
    """Print the final table and write report.html."""
    if not out.is_dir():
        _in_project()
    from tasks.report import render
    from tasks.report_files import read_results

    if show:
        _show(read_results(out))
    typer.echo(f"report: {render(out)}")


@app.command()
def predict(
    file: Annotated[Path, typer.Argument(help="Patients: .csv or .parquet; images: .npy.")],
    model: Annotated[
        str, typer.Option(help="NAME@champion, NAME/3, a run's id, or a model's folder or URI.")
    ],
    out: Annotated[Path, typer.Option("--out", help=".csv or .parquet.")] = PREDICTIONS,
    params: Params = PARAMS,
) -> None:
    """Write a registered model's predictions for every row of a file; nothing leaves this machine.

    A row that the model's schema forbids has none: it is named, and the exit code is 1.
    """
    hush()
    from wardround.predicting import predict_file

    predicted = predict_file(file, model, out, params)
    for note in predicted.notes:
        typer.secho(f"note: {note}", err=True, dim=True)
    typer.echo(f"{out}: {predicted.scored} of {len(predicted.frame)} rows scored")
    for words in predicted.refused[:_REFUSED]:
        typer.secho(f"refused: {words}", fg=typer.colors.RED, err=True)
    if len(predicted.refused) > _REFUSED:
        more = f"refused: {len(predicted.refused) - _REFUSED} more cells; {out} names their rows"
        typer.secho(more, fg=typer.colors.RED, err=True)
    if predicted.refused:
        raise typer.Exit(1)


@app.command()
def algorithms(
    name: Annotated[str | None, typer.Argument(help="One preset or rule, in full.")] = None,
    kind: Annotated[str | None, typer.Option(help="Only this kind, e.g. aggregation.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """List every rule, model and data set with its options, defaults and paper."""
    from wardround import algorithms as shown

    if as_json:
        typer.echo(shown.as_json(kind))
    else:
        _print(shown.in_full(name, kind) if name else shown.listing(kind))


@app.command()
def study(
    file: Annotated[Path, typer.Argument(help="The study file; see docs/studies.md.")],
    jobs: Annotated[
        int | None, typer.Option(help="Runs side by side; default: cores.", min=1)
    ] = None,
    again: Annotated[bool, typer.Option(help="Run what is done already, too.")] = False,
) -> None:
    """Run settings × seeds of a study file, and compare them; goes on where it was cut off."""
    _in_project()
    hush()
    from tasks.job import cores
    from wardround.studies import run, show_study

    planned, failed = run(file, Path.cwd(), jobs or cores(), again=again)
    if len(failed) < len(planned.runs):
        _print(show_study(planned.folder, None, None), whole=True)
        typer.echo(f"results: {planned.folder.relative_to(planned.project)}")
    for fault in failed:
        typer.secho(f"failed: {fault}", fg=typer.colors.RED, err=True)
    if failed:
        raise typer.Exit(1)


@app.command()
def compare(
    runs: Annotated[list[str], typer.Argument(help="A study, or run ids or names of MLflow.")],
    experiment: Annotated[str | None, typer.Option(help="Where runs are named.")] = None,
    reference: Annotated[str | None, typer.Option(help="The setting to compare with.")] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(help="A column to compare, e.g. auroc; repeatable."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The page; default: compare.html.")] = None,
) -> None:
    """Compare settings over their seeds: means, intervals, and which differences are noise."""
    hush()
    from tasks.contrast_page import PAGE
    from wardround import studies

    folder = studies.study_folder(runs[0], Path.cwd()) if len(runs) == 1 else None
    if folder is not None:
        page = out or folder / PAGE
        _print(studies.show_study(folder, reference, page, metric or ()), whole=True)
    else:
        _in_project()
        page = out or Path(PAGE)
        columns = metric or ["auroc", "accuracy", "loss"]
        found = studies.tracked(runs, experiment, columns, Path.cwd())
        _print(studies.show_runs(found, columns, reference, page), whole=True)
    typer.echo(f"page: {page}")


@app.command()
def resume(flow_run: Annotated[str, typer.Argument(help="Id of the paused flow run.")]) -> None:
    """Go on with a run that waits for a person: without a quorum, or for a hospital's approval."""
    if "PREFECT_API_URL" not in os.environ:
        _in_project()
    from tasks.server import require_server
    from tasks.suspension import resume as resume_run

    require_server()
    resume_run(flow_run)
    typer.echo(f"resumed: flow run {flow_run}")


@app.command()
def serve(
    params: Params = PARAMS,
    overrides: Set = None,
    out: Out = OUT,
    cron: Annotated[str, typer.Option(help="When to train.")] = "0 2 * * *",
    every: Annotated[
        int | None, typer.Option(help="Train every so many seconds instead.", min=1)
    ] = None,
    name: Annotated[str, typer.Option(help="The deployment's name.")] = "served",
) -> None:
    """Serve the training flow on a schedule, against a running Prefect server."""
    _in_project(params)
    from federated.config import load

    load(params, overrides or [])
    from wardround.serving import serve_flow

    serve_flow(params, overrides or [], out, name, cron, every)


@app.command()
def ui(
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1.")] = 5000,
    params: Params = PARAMS,
) -> None:
    """Open MLflow's page over this project's runs, on loopback."""
    _in_project(params)
    from wardround.pages import serve_mlflow

    serve_mlflow(Path.cwd(), params, port)


@app.command()
def relocate() -> None:
    """After the project was moved, or restored elsewhere: let MLflow find its files again."""
    from tasks.relocation import BACKUP, relocate

    changed = relocate(Path.cwd())
    typer.echo(f"{changed} entries name files here now; as it was: mlruns/{BACKUP}")


@app.command()
def doctor(
    params: Params = PARAMS,
    production: Annotated[
        bool, typer.Option("--production", help="Also what servers need that others reach.")
    ] = False,
) -> None:
    """Check versions, settings, ports and data; say what to do. Makes and changes nothing."""
    _in_project(params)
    from wardround import doctor as checks

    findings = checks.examine(Path.cwd(), params)
    findings += checks.production(Path.cwd(), params) if production else []
    for finding in checks.leading(findings):
        mark, color = _mark(finding)
        typer.secho(f"{mark} {finding.what}", fg=color)
        if not finding.ok:
            typer.echo(f"     {finding.advice}")
    if not all(finding.ok or finding.note for finding in findings):
        raise typer.Exit(1)


def _mark(finding: Any) -> tuple[str, str]:
    if finding.ok:
        return "ok  ", typer.colors.GREEN
    return ("note", typer.colors.YELLOW) if finding.note else ("MEND", typer.colors.RED)


def _show(results: Any) -> None:
    from tasks.comparison import table

    _print(table(results))


def _print(table: Any, *, whole: bool = False) -> None:
    """whole: in a file or a pipe, which have no width, let every line be as long as it is."""
    from rich.console import Console

    console = Console()
    if whole and not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _UNBOUNDED
    console.print(table)
