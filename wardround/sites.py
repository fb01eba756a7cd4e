"""`wardround site`, `roster` and `audit`: who takes part, and what was done."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from tasks.exchange.keys import PublicKey

site = typer.Typer(help="A hospital's own installation.", no_args_is_help=True)
roster = typer.Typer(help="The coordinator's list of hospitals.", no_args_is_help=True)
audit = typer.Typer(help="What was asked, sent, accepted and refused.", no_args_is_help=True)
Folder = Annotated[Path, typer.Option("--folder", help="Folder of site.yaml.")]
Name = Annotated[str, typer.Argument(help="The hospital's name.")]
Log = Annotated[Path, typer.Argument(help="Folder of the log.")]
Key = Annotated[str | None, typer.Option("--key", help="Public key or file of the private one.")]
HERE, AUDIT, COORDINATOR = Path(), Path("audit"), Path("keys/coordinator")
_SHOWN = 30


@site.command()
def init(
    name: Name,
    data: Annotated[Path, typer.Option(help="The hospital's folder of data/hospitals.")],
    coordinator: Annotated[str, typer.Option(help="The coordinator's public key.")],
    exchange: Annotated[str, typer.Option(help="Where weights are exchanged: folder or URL.")],
    folder: Folder = HERE,
) -> None:
    """Write site.yaml and a key pair; print what to send to the coordinator."""
    from federated.errors import ConfigError
    from tasks.exchange import keys
    from tasks.exchange.fields import given_name
    from tasks.exchange.site import SITE, site_text
    from tasks.files import write_atomic
    from tasks.hospital_files import load_hospital

    path, key = folder / SITE, Path("keys") / given_name(name)
    if path.exists():
        raise ConfigError(f"{path} exists: it is never overwritten; move it away first")
    raw = load_hospital((folder / data).resolve())
    if raw.name != name:
        raise ConfigError(f"--data {data}: the folder of hospital {raw.name!r}, not {name!r}")
    public = keys.PublicKey(coordinator)
    private = keys.create(folder / key)
    text = site_text(name, str(data), public.text, exchange, str(key))
    write_atomic(path, text.encode(), durable=True)
    typer.echo(f"wrote {path} (read its policy) and {folder / key}. For the coordinator:")
    rows = int(raw.train.sum())
    typer.echo(f"wardround roster add {name} --key {private.public.text} --max-examples {rows}")


@site.command()
def join(folder: Folder = HERE) -> None:
    """Wait for the coordinator's jobs, and take part in them, until Ctrl-C."""
    from tasks.exchange.site import SITE, read_site

    read = read_site(folder / SITE)
    from wardround.joining import join as serve

    serve(read, folder.resolve())


@roster.command("init")
def init_coordinator() -> None:
    """Make the coordinator's key pair; print what hospitals give to `wardround site init`."""
    from tasks.exchange import keys

    private = keys.create(COORDINATOR)
    typer.echo(f"wrote {COORDINATOR}. For every hospital's `wardround site init`:")
    typer.echo(f"--coordinator {private.public.text}")


@roster.command("add")
def add_hospital(
    name: Name,
    key: Annotated[str, typer.Option(help="Its public key, as `site init` printed it.")],
    max_examples: Annotated[int, typer.Option(help="Training rows it may claim.", min=1)],
    replace: Annotated[bool, typer.Option("--replace", help="Enter it anew.")] = False,
) -> None:
    """Enter a hospital in roster.yaml."""
    from tasks.exchange.keys import PublicKey
    from tasks.exchange.roster import ROSTER, Member, Roster, add, read_roster, write_roster

    known = read_roster(ROSTER) if ROSTER.exists() else Roster(hospitals={})
    today = datetime.now(UTC).date()
    member = Member(key=PublicKey(key), max_examples=max_examples, added=today)
    write_roster(ROSTER, add(known, name, member, replace=replace))
    typer.echo(f"{ROSTER}: {name} may take part with at most {max_examples} training rows")


@roster.command("list")
def list_hospitals() -> None:
    """Show roster.yaml."""
    from tasks.exchange.roster import ROSTER, read_roster

    table = _table("Hospital", "Most rows", "Since", "Key")
    for name, one in read_roster(ROSTER).hospitals.items():
        table.add_row(name, str(one.max_examples), str(one.added), one.key.text)
    _print(table)


@audit.command("verify")
def verify_log(
    folder: Log = AUDIT,
    key: Key = None,
    at_least: Annotated[
        str | None, typer.Option(metavar="N:HASH", help="A head that you noted before.")
    ] = None,
) -> None:
    """Is the log as it was written? Exit code 1, with the first bad line, if not."""
    from federated.errors import ConfigError
    from tasks.exchange.audit_check import Head, verify

    count, _, noted = (at_least or "").partition(":")
    if at_least is not None and not (count.isdigit() and noted):
        raise ConfigError(f"--at-least {at_least!r}: expected N:HASH, as `audit verify` prints it")
    head = Head(int(count), noted) if at_least is not None else None
    found = verify(folder, _public(key), head)
    if found.fault is not None:
        typer.secho(f"{folder}: {found.fault}", fg=typer.colors.RED, err=True)
        raise typer.Exit(1)
    assert found.head is not None
    typer.echo(f"{folder}: {found.entries} entries, all as they were written")
    typer.echo(f"note this head elsewhere: --at-least {found.head.count}:{found.head.hash}")


@audit.command("show")
def show_log(
    folder: Log = AUDIT,
    last: Annotated[int, typer.Option(help="So many entries.", min=1)] = _SHOWN,
) -> None:
    """The newest entries."""
    from tasks.exchange.audit_check import LOG, entries_in

    table = _table("", "Time (UTC)", "Event", "Hospital", "Round", "Details")
    for one in list(entries_in(folder / LOG))[-last:]:
        details = ", ".join(f"{name} {value}" for name, value in one.details.items())
        number = "" if one.round is None else str(one.round)
        table.add_row(str(one.n), one.time[:19], one.event, one.hospital, number, details)
    _print(table)


def _public(key: str | None) -> "PublicKey":
    """Of a text, a file, or this folder's own site or coordinator."""
    from tasks.exchange import keys
    from tasks.exchange.site import SITE, read_site

    if key is not None and key.startswith(keys.PREFIX):
        return keys.PublicKey(key)
    own = COORDINATOR if COORDINATOR.exists() or not SITE.exists() else Path(read_site(SITE).key)
    return keys.load(Path(key) if key is not None else own).public


def _table(*columns: str) -> "Table":
    from rich.table import Table

    return Table(*columns, box=None, header_style="bold")


def _print(table: "Table") -> None:
    from rich.console import Console

    Console().print(table)
