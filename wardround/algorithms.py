"""`wardround algorithms`: every plug-in and preset, drawn for the terminal or as JSON."""

import json
import re
from collections.abc import Iterable
from dataclasses import asdict

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from federated.catalogue import PACKAGES, Entry, Preset, entries, presets
from federated.errors import ConfigError
from federated.plugins import nearest

_NONE = "—"


def listing(kind: str | None) -> RenderableType:
    """A table for each kind, or for one, and the presets. Raises ConfigError for no such kind."""
    kinds = [kind] if kind else [*PACKAGES]
    tables = [_table(one, entries(one)) for one in kinds]
    more = Text("Types and bounds of the options: wardround algorithms NAME", "dim")
    return Group(*tables, *([] if kind else [_presets(presets())]), more)


def as_json(kind: str | None) -> str:
    """The same as JSON."""
    kinds = [kind] if kind else [*PACKAGES]
    found = {one: [asdict(entry) for entry in entries(one)] for one in kinds}
    combined = {} if kind else {"presets": {one.name: asdict(one) for one in presets()}}
    return json.dumps({"plug-ins": found} | combined, indent=2, ensure_ascii=False)


def in_full(name: str, kind: str | None) -> RenderableType:
    """The preset and the plug-ins of this name. Raises ConfigError with the nearest name."""
    every = [one for k in ([kind] if kind else PACKAGES) for one in entries(k)]
    found = [one for one in every if one.name == name]
    combined = {} if kind else {one.name: one for one in presets()}
    if not found and name not in combined:
        known = sorted({one.name for one in every} | set(combined))
        raise ConfigError(f"no algorithm is called {name!r}; {nearest(name, known)}")
    parts: list[RenderableType] = []
    if name in combined:
        parts.append(_preset(combined[name], every))
    return Group(*parts, *(_full(one) for one in found))


def _table(kind: str, found: Iterable[Entry]) -> Table:
    drawn = _frame(kind, f"{PACKAGES[kind].replace('.', '/')}/")
    drawn.add_column("Name", no_wrap=True, style="bold")
    drawn.add_column("What it is, and its paper", overflow="fold", ratio=4)
    drawn.add_column("Options", overflow="fold", ratio=3)
    for one in found:
        options = Text(", ").join(
            Text.assemble((option.name, "cyan"), f"={option.default}") for option in one.options
        )
        drawn.add_row(Text(one.name), _cited(one.summary, one.source), options or Text(_NONE))
    return drawn


def _presets(found: Iterable[Preset]) -> Table:
    drawn = _frame("presets", "algorithm.name; what is not named keeps its default")
    drawn.add_column("Name", no_wrap=True, style="bold")
    drawn.add_column("What it names", overflow="fold", ratio=3)
    drawn.add_column("Papers", overflow="fold", ratio=4)
    for one in found:
        rules = "\n".join(f"{kind} {choice}" for kind, choice in one.rules.items())
        drawn.add_row(Text(one.name), Text(rules), Text(_lines(one.source)))
    return drawn


def _cited(summary: str, source: str | None) -> Text:
    """A summary, and below it a line for each paper."""
    return Text.assemble(summary, (f"\n{_lines(source)}" if source else "", "dim"))


def _lines(source: str | None) -> str:
    return (source or _NONE).replace("; ", "\n")


def _preset(one: Preset, every: Iterable[Entry]) -> RenderableType:
    """A preset's rules, each with its paper."""
    files = {(entry.kind, entry.name): entry for entry in every}
    drawn = _frame(one.name, f"preset: --set algorithm.name={one.name}")
    for column in ("Kind", "Choice"):
        drawn.add_column(column, no_wrap=True)
    drawn.add_column("Papers", overflow="fold", ratio=1)
    for kind, choice in one.rules.items():
        source = files[(kind, choice.partition(" ")[0])].source
        drawn.add_row(kind, Text(choice), Text(_lines(source)))
    return drawn


def _full(one: Entry) -> RenderableType:
    head = Text.assemble((one.name, "bold"), f"  {one.kind} · {one.file}")
    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("Option", "Type", "Default"):
        drawn.add_column(column, overflow="fold")
    for option in one.options:
        drawn.add_row(Text(option.name), Text(option.type), Text(option.default))
    source = Text(f"Source: {one.source or _NONE}")
    parts: list[RenderableType] = [head, Text(), Text(_flowing(one.text)), Text(), source]
    return Group(*parts, *([drawn] if one.options else []), Text())


def _flowing(text: str) -> str:
    """Paragraphs without the file's line ends, for a terminal of any width."""
    return re.sub(r"(?<!\n)\n(?=\S)", " ", text)


def _frame(title: str, note: str) -> Table:
    return Table(
        title=Text.assemble((title, "bold"), (f"  {note}", "dim")),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        expand=True,
    )
