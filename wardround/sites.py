"""`wardround site`: a hospital's own installation."""

from pathlib import Path
from typing import Annotated

import typer

site = typer.Typer(help="A hospital's own installation.", no_args_is_help=True)
Folder = Annotated[Path, typer.Option("--folder", help="Folder of site.yaml.")]
HERE = Path()


@site.command()
def join(folder: Folder = HERE) -> None:
    """Wait for the coordinator's jobs, and take part in them, until Ctrl-C."""
    from tasks.exchange.site import SITE, read_site

    read = read_site(folder / SITE)
    from wardround.joining import join as serve

    serve(read, folder.resolve())
