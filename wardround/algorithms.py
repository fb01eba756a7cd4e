"""`wardround algorithms`: every plug-in and preset, drawn for the terminal or as JSON."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from federated.catalogue import PACKAGES, Entry, Option, entries, presets
from federated.errors import ConfigError
from federated.plugins import nearest

_NONE = "—"


def listing(kind: str | None) -> RenderableType:
    """A table for each kind, or for one, and the presets. Raises ConfigError for no such kind."""
    kinds = [kind] if kind else [*PACKAGES]
    tables: list[RenderableType] = [_table(one, entries(one)) for one in kinds]
    return Group(*tables, *([] if kind else [_presets(presets())]))


def as_json(kind: str | None) -> str:
    """The same as JSON."""
    kinds = [kind] if kind else [*PACKAGES]
    found = {one: [asdict(entry) for entry in entries(one)] for one in kinds}
    return json.dumps(
        {"plug-ins": found} | ({} if kind else {"presets": presets()}), indent=2, ensure_ascii=False
    )


def in_full(name: str, kind: str | None) -> RenderableType:
    """The preset and the plug-ins of this name. Raises ConfigError with the nearest name."""
    every = [one for k in ([kind] if kind else PACKAGES) for one in entries(k)]
    found = [one for one in every if one.name == name]
    combined = {} if kind else presets()
    if not found and name not in combined:
        known = sorted({one.name for one in every} | set(combined))
        raise ConfigError(f"no algorithm is called {name!r}; {nearest(name, known)}")
    parts: list[RenderableType] = []
    if name in combined:
        parts.append(_preset(name, combined[name], every))
    return Group(*parts, *(_full(one) for one in found))


def _table(kind: str, found: Iterable[Entry]) -> Table:
    drawn = _frame(f"{kind}", f"{PACKAGES[kind].replace('.', '/')}/")
    drawn.add_column("Name", overflow="fold", style="bold", ratio=16)
    drawn.add_column("What it is", ratio=32, overflow="fold")
    drawn.add_column("Options = default", ratio=30, overflow="fold")
    drawn.add_column("Source", ratio=24, overflow="fold")
    for one in found:
        options = Text("\n").join(map(_option, one.options)) if one.options else Text(_NONE)
        drawn.add_row(Text(one.name), Text(one.summary), options, Text(one.source or _NONE))
    return drawn


def _option(one: Option) -> Text:
    return Text.assemble((one.name, "cyan"), f" = {one.default}  ", (one.type, "dim"))


def _presets(found: Mapping[str, Mapping[str, str]]) -> Table:
    kinds = list(dict.fromkeys(kind for choices in found.values() for kind in choices))
    drawn = _frame("presets", "algorithm.name; what is not named keeps its default")
    drawn.add_column("Name", style="bold", overflow="fold")
    for kind in kinds:
        drawn.add_column(kind, overflow="fold")
    for name, choices in found.items():
        drawn.add_row(Text(name), *(Text(choices.get(kind, _NONE)) for kind in kinds))
    return drawn


def _preset(name: str, choices: Mapping[str, str], every: Iterable[Entry]) -> RenderableType:
    """A preset's choices, each with its paper."""
    files = {(one.kind, one.name): one for one in every}
    drawn = _frame(name, f"preset: --set algorithm.name={name}")
    for column in ("Kind", "Choice", "Source"):
        drawn.add_column(column, overflow="fold")
    for kind, choice in choices.items():
        entry = files.get((kind, choice.partition(" ")[0]))
        source = entry.source if entry else None
        drawn.add_row(kind, Text(choice), Text(source or _NONE))
    return drawn


def _full(one: Entry) -> RenderableType:
    head = Text.assemble((one.name, "bold"), f"  {one.kind} · {one.file}")
    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("Option", "Type", "Default"):
        drawn.add_column(column, overflow="fold")
    for option in one.options:
        drawn.add_row(Text(option.name), Text(option.type), Text(option.default))
    source = Text(f"Source: {one.source or _NONE}")
    parts: list[RenderableType] = [head, Text(), Text(one.text), Text(), source]
    return Group(*parts, *([drawn] if one.options else []), Text())


def _frame(title: str, note: str) -> Table:
    return Table(
        title=Text.assemble((title, "bold"), (f"  {note}", "dim")),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        expand=True,
    )
